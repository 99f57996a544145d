guess = 0
answer = ""
while answer != "correct":
    guess += 1
    print(guess, flush=True)
    try:
        answer = input()
    except EOFError:  # no more guesses
        break
