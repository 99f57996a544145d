class Cpus {
    public static void main(String[] words) {
        System.out.println(Runtime.getRuntime().availableProcessors());
    }
}
