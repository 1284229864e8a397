/* A guest in C, as tight as compilers make them: what metering costs most. */

#define EXPORT(name) __attribute__((export_name(#name))) void name(void)

enum { size = 64 * 1024 };

static unsigned char text[size];
static unsigned int numbers[4096];
static double left[64][64], right[64][64], product[64][64];
unsigned int result; /* so that nothing is left out */

static unsigned int next(unsigned int *seed) {
	*seed ^= *seed << 13;
	*seed ^= *seed >> 17;
	return *seed ^= *seed << 5;
}

EXPORT(hash) {
	unsigned int h = 2166136261u;
	for (int i = 0; i < size; i++) h = (h ^ text[i]) * 16777619u;
	result += h;
}

EXPORT(sort) {
	unsigned int seed = 7;
	for (int i = 0; i < 4096; i++) numbers[i] = next(&seed);
	for (int gap = 2048; gap > 0; gap /= 2)
		for (int i = gap; i < 4096; i++) {
			unsigned int v = numbers[i];
			int j = i;
			for (; j >= gap && numbers[j - gap] > v; j -= gap) numbers[j] = numbers[j - gap];
			numbers[j] = v;
		}
	result += numbers[0];
}

EXPORT(matrix) {
	for (int i = 0; i < 64; i++)
		for (int j = 0; j < 64; j++) {
			double sum = 0;
			for (int k = 0; k < 64; k++) sum += (left[i][k] + i) * (right[k][j] - j);
			product[i][j] = sum;
		}
	result += product[3][5] > 0;
}

EXPORT(rewrite) {
	for (int i = 0; i < size; i++) {
		unsigned char c = text[i];
		if (c >= 'a' && c <= 'z') c -= 32;
		text[i] = c + 1;
	}
	result += text[7];
}

static int fib(int n) { return n < 2 ? n : fib(n - 1) + fib(n - 2); }

EXPORT(calls) { result += fib(18); }
