import sys

n = int(input())
sys.stderr.write("\x1b[2J\x1b]0;hostile\x07<script>alert(1)</script>[red]\u202e" * 100)
print(48271 * n % 2147483647)
