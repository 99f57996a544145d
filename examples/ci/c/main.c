#include "words.h"

#include <stdio.h>

int main(void)
{
	char line[4096];
	unsigned long count = 0;

	while (fgets(line, sizeof line, stdin))
		count += count_words(line);
	printf("%lu\n", count);
	return 0;
}
