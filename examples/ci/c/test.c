#include "words.h"

#include <stdio.h>

static int failures;

static void expect(const char *text, unsigned long count)
{
	unsigned long found = count_words(text);

	if (found != count) {
		printf("count_words(\"%s\") is %lu and should be %lu\n", text, found, count);
		failures++;
	}
}

int main(void)
{
	expect("", 0);
	expect(" \t\n", 0);
	expect("one", 1);
	expect(" one  two\n", 2);
	printf("%d failures\n", failures);
	return failures != 0;
}
