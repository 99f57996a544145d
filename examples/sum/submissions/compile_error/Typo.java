public class Typo {
    public static void main(String[] args) {
        int sum = "seven";
    }
}
