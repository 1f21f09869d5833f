import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;

/** Checks a bucketing in Java against million.bin: java Check.java million.bin */
final class Check {
    static final String[] SALTS = {
        "", "r-1", "r-2", "r-3a7f", "shop/answer|7", "a:b", "s\u00f6der:malm", "\u5de1\u56de\ud83c\udf88"
    };
    static final int UNITS = 125_000;
    static final int BUCKETS = 10_000;

    /** The i-th unit. */
    static String name(int i) {
        switch (i % 5) {
            case 0:
                return "user-" + i;
            case 1:
                return String.format("%08x", (int) (i * 2_654_435_761L));
            case 2:
                return i + "@example.org";
            case 3:
                return "kundin \u00fc " + i;
            default:
                return "\u5229\u7528\u8005" + i + "\ud83d\ude42";
        }
    }

    /** MurmurHash3_x86_32 with seed 0; Java's int wraps around as it must. */
    static int murmur3(byte[] data) {
        int state = 0;
        for (int at = 0; at < data.length; at += 4) {
            int word = 0;
            for (int i = 0; i < 4 && at + i < data.length; i++) {
                word |= (data[at + i] & 0xff) << 8 * i;
            }
            state ^= Integer.rotateLeft(word * 0xcc9e2d51, 15) * 0x1b873593;
            if (at + 4 <= data.length) {
                state = Integer.rotateLeft(state, 13) * 5 + 0xe6546b64;
            }
        }
        state ^= data.length;
        state = (state ^ state >>> 16) * 0x85ebca6b;
        state = (state ^ state >>> 13) * 0xc2b2ae35;
        return state ^ state >>> 16;
    }

    static int bucket(String salt, String unit) {
        byte[] key = (salt + ":" + unit).getBytes(StandardCharsets.UTF_8);
        return Integer.remainderUnsigned(murmur3(key), BUCKETS);
    }

    public static void main(String[] arguments) throws IOException {
        byte[] told = Files.readAllBytes(Path.of(arguments[0]));
        int pairs = SALTS.length * UNITS;
        if (told.length != 2 * pairs) {
            System.err.println(arguments[0] + " has " + told.length + " bytes, not " + 2 * pairs);
            System.exit(1);
        }
        for (int n = 0; n < pairs; n++) {
            String salt = SALTS[n / UNITS], unit = name(n % UNITS);
            int expected = told[2 * n] & 0xff | (told[2 * n + 1] & 0xff) << 8;
            int found = bucket(salt, unit);
            if (found != expected) {
                System.err.printf("pair %d, salt '%s', unit '%s': bucket %d, not %d%n", n, salt, unit, found, expected);
                System.exit(1);
            }
        }
        System.out.println(pairs + " pairs agree");
    }
}
