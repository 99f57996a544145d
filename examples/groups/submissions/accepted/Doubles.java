import java.util.Scanner;

public class Doubles {
    static final long P = 1_000_000_007L;

    static long[] pair(long n) {
        if (n == 0)
            return new long[] {0, 1};
        long[] half = pair(n / 2);
        long a = half[0], b = half[1];
        long c = a * ((2 * b - a + P) % P) % P, d = (a * a + b * b) % P;
        return n % 2 == 0 ? new long[] {c, d} : new long[] {d, (c + d) % P};
    }

    public static void main(String[] args) {
        System.out.println(pair(new Scanner(System.in).nextLong())[0]);
    }
}
