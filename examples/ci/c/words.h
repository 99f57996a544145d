#ifndef WORDS_H
#define WORDS_H

/* How many words, separated by white space, are in a text. */
unsigned long count_words(const char *text);

#endif
