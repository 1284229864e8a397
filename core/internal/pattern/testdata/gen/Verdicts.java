// Writes what java.util.regex says about many patterns and inputs: the table
// that TestJavaVerdicts compares this package with.
//
//   cd core/internal/pattern/testdata/gen
//   javac -d /tmp/verdicts Verdicts.java
//   java -cp /tmp/verdicts Verdicts | gzip -9n > ../verdicts.tsv.gz
//
// Two arguments, a seed and a factor, make another table, which the test reads
// instead when ANNEX_VERDICTS names it.
//
// A line "P pattern valid" starts a pattern; the lines "I input verdict id"
// that follow hold an input, whether it matches as a whole, and what the group
// "id" holds ("-" for nothing, "=" in front of a value). Everything but
// printable ASCII, and the backslash, is written as a backslash, u and four digits.
//
// The table in the repository was made with OpenJDK 17.0.15.
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Random;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

public final class Verdicts {
    private static final Random RANDOM = new Random();
    private static final PrintStream OUT = new PrintStream(System.out, false, StandardCharsets.US_ASCII);

    // Written by hand: real patterns, each construct, and known traps.
    private static final String[] PATTERNS = {
        "/api/org/.*/currentTime", "/test/.*", "/custom/.*", "/api/cse", "/api/cse/.*", "/api/backup/(?<id>[-,a-g,0-9]*)",
        "/api/org/(?<id>[-,a-g,0-9]+)/currentTime", "/api/customResource1/[-,a-g,0-9]+/getResource", "^myNssFoo(?<id>[0-9]*)",
        "(/api/cse)|(/api/cse/.*)|", "(/api/x)|(/api/y)", "/api/(?:vm|vApp)/(?<id>vm-[0-9a-f-]{4,8})/action/.*",
        "/api/(?!admin).*", "/api/.*(?<!/secret)", "/api/(?=v).*", "(?i)/API/org", "/api/(?i)org/X", "/api/(?i:org)/x", "(?i)/api/[a-f]+",
        "(?s)/api/.*", "(?d)/api/.*", "/api/.", "/api/..", "/api/[^/]+/x", "/api/[^/]++/x", "/api/.*+x", "/a?+a", "(?>a+)a", "(?>a|ab)c", "(?:a|ab){2,3}+c", "(?:a|ab)?+b",
        "(a)(b)\\2\\1", "(a|b)\\1", "(?<id>a|b)/\\k<id>", "(a)\\11", "(a)(b)(a)(b)(a)(b)(a)(b)(a)(b)\\10", "(a)?\\1", "(?:(a)|b)\\1", "\\1(a)", "(a\\1)", "\\k<id>(?<id>a)",
        "[a-z&&[^b]]+", "[a-z&&[def]]", "[a-z&&d-f]", "[a-z&&[^m-p]&&[^x]]", "[a&&b]", "[a-c[x-z]]", "[^a-c[x-z]]", "[^a-z&&[^b]]", "[a&&]", "[&&a]", "[a&&&b]", "[a&b]", "[&]", "[a&]",
        "[&a]", "[a-c&&[b-d]&&[c-e]]", "[a-z&&[bc]d]", "[a-z&&b[cd]]", "[[ab]&&[bc]]", "[[ab][cd]&&[bd]]", "[a-d&&b-c&&c]", "[\\w&&[^\\d]]+", "[\\w&&\\D]+", "[^\\d&&a]",
        "[]a]", "[^]a]", "[]", "[^]", "[a", "[[a]", "[a]]", "a]", "a}", "{", "a{", "a{1", "a{1,", "a{,1}", "a{1}", "a{1,2}", "a{2,}", "a{2,1}", "a{0}", "a{0,0}b", "a{1}{2}", "a**", "a*+", "a*?", "a++", "a+?", "a?+", "a??",
        "a+*", "*a", "+", "?", "|", "a|", "|a", "a||b", "()", "(|a)", "(a|)", "(", ")", "(a", "a)", "(?", "(?)", "(?:", "(?:)", "(?i", "(?i)", "(?i)*", "(?z)a", "(?P<id>a)", "(?<id", "(?<1a>a)", "(?<i_d>a)", "(?<id>a)(?<id>b)", "(?<ID>a)(?<id>b)", "(?'id'a)", "(?#c)a", "(?i-s)A.", "(?-i)a", "(?i)a(?-i)b", "(?i)a|b", "a(?i)b|c", "(?:a(?i)b)c", "(?s-s).", "(?is)A.b",
        "[-a]", "[a-]", "[a-b-c]", "[+--]", "[--/]", "[a\\-c]", "[\\]]", "[\\[a]", "[a^]", "[\\^a]", "[^^]", "[a-\\d]", "[\\d-z]", "[\\w-]", "[z-a]", "[a-[b]]", "[.]", "[*+?]", "[(|)]", "[$]", "[{}]", "[/]", "[a-z0-9_.~-]+", "[\\x61-\\x63]", "[\\u0061-c]", "[\\0141-c]", "[\\t\\n]", "[\\Q^]-\\E]", "[a\\Q-\\Ez]", "[\\b]", "[\\R]", "[\\1]", "[\\z]", "[\\ea]", "[\\cAa]", "[\\v]", "[\\v-x]", "[\\h]",
        "\\Qa.b\\E", "\\Qa.b", "\\Q\\E", "a\\Q\\Eb", "\\Qa\\E*", "\\Qab\\E+", "\\Q[\\E", "\\Q\\\\E", "\\E", "a\\E", "\\Q1\\E", "a\\Q1\\E", "(a)\\1\\Q1\\E", "\\x6\\Q1\\E", "\\\\Qa", "\\\\\\Qa.\\E", "\\Q(\\E\\Q)\\E", "\\Qa\\Eb\\Qc.\\E", "\\Q\u00e9.\\E",
        "\\a", "\\e", "\\f", "\\n", "\\r", "\\t", "\\v", "\\h", "\\H", "\\V", "\\R", "\\R*", "a\\Rb", "\\R\\n", "\\s", "\\S", "\\d", "\\D", "\\w", "\\W", "\\cA", "\\ca", "\\c", "\\0", "\\07", "\\08", "\\0141", "\\0400", "\\0377", "\\x41", "\\x4", "\\xg", "\\x{41}", "\\x{1F600}", "\\x{110000}", "\\x{}", "\\x{41", "\\u0041", "\\u004", "\\ud83d\\ude00", "\\ud83d", "\\uD83D\\u0041", "\\x{D800}", "\\y", "\\i", "\\q", "\\_", "\\-", "\\/", "\\ ", "\\\u00e9", "\\", "a\\", "\\8", "\\9", "\\G", "\\Ga", "\\X", "\\N{LATIN SMALL LETTER A}", "\\b{g}", "\\b", "\\B", "a\\b", "\\ba\\b", "a\\b/b", "a\\Bb", "\\b{1}a", "\\B*a",
        "\\p{Alpha}", "\\p{Lower}", "\\p{Upper}", "\\p{ASCII}", "\\p{Digit}", "\\p{Alnum}", "\\p{Punct}", "\\p{Graph}", "\\p{Print}", "\\p{Blank}", "\\p{Cntrl}", "\\p{XDigit}", "\\p{Space}", "\\P{Alpha}", "[\\p{Alpha}&&[^a]]+", "[^\\p{Alpha}]", "\\p{L}", "\\pL", "\\PL", "\\p{Lu}", "\\p{IsL}", "\\p{IsLu}", "\\p{N}", "\\p{Nd}", "\\p{P}", "\\p{S}", "\\p{Z}", "\\p{javaLowerCase}", "\\p{IsAlphabetic}", "\\p{IsLatin}", "\\p{InGreek}", "\\p{Foo}", "\\p{", "\\p", "\\p{}", "\\pX", "(?i)\\p{Lower}", "(?i)\\p{Lu}", "(?i)\\p{Alpha}", "\\p{C}", "\\p{L1}", "\\p{LC}", "\\p{alpha}", "\\p{lower}",
        "^a", "a^", "a^b", "^*a", "(^a)", "a|^b", "a$", "a$b", "$a", "a$$", "(a$)", "(a$|b)", "a$\n", "a$\r\n", "(?s)a$.", "(?s)a$.*", "(?s)a\\Z.*", "(?s)a\\Z.?.?", "a\\Z", "a\\z", "a\\z.*", "\\Aa", "a\\A", "(?m)a$", "(?m)^a", "(?m)a", "(?m)a$\nb", "(?d)a$", "(?s)a.$.", "a\\r$\\n", "a\\r\\Z\\n", "(?s).*$.*", "(?s)a.?$(?<id>.*)", "/a/.*/b/(?<id>.*)", "/a.*b.*b(?<id>.*)", "/[a-z]*(?<id>.*)", "/[a-z]*?(?<id>.*)", "(?:/a|/b)?(?<id>.*)",
        "$", "^", "^$", "\\Z", "\\z", "(?:a$)?b?", "(?:a$)*", "(?s)(a$.)+",
        "(?=a)a", "(?=ab)a.", "(?!a).", "(?!ab)a.", "(?<=a)b", "a(?<=a)b", "a(?<!a)b", ".(?<=a|bb)b", "..(?<=ab)", "..(?<=a{2})", "..(?<=a{1,2})b", ".*(?<=a+)b", ".*(?<=a*)b", "..(?<=(?:ab){1})", "...(?<=(?:a|ab)?)b", ".*(?<=(?:a|b){1,2})a", "(?<=)a", "a(?=)b", "a(?!)b", "a(?<!)b", "(?=(a))a\\1", "(?=(?<id>a))a", "(?:(?=(a))b|a)\\1", "(?!(a))b", "(?>(a))\\1", "(?>(?<id>a))", "(?<id>a)++", "(?=a)*a", "(?=a)+a", "(?=a){0}b", ".(?<=\\ba)", ".*(?<=^a)", ".(?=$)", ".(?=\\z)", ".+(?=b).", "(?=.*b)(?=.*a)[ab]+", "(?<![ab])a", "\\p{L}+(?<=\u00e9)", ".*(?<=\ud83d\ude00)",
        "(a*)*", "(a*)+", "(a|b)*", "(a*|b)*", "(?<id>a*)*", "(?<id>a*)+", "(?<id>a)*", "(?<id>a|b)+", "(?<id>a?)b*", "(?<id>a*)?", "(?<id>a??)a?", "(?<id>a+?)a*", "(?<id>a|ab)(c|bcd)?", "(?:(?<id>a)|b)*", "(?:(?<id>a)|b){2}", "(?<id>(a)|b)*", "(?:(?<id>a)?b)*", "(?<id>.*)/(.*)", "(?<id>.*?)/(.*)", "(?<id>[^/]*)/.*", "((?<id>a)|(b))+", "(?<id>a{1,2}){2}", "(?<id>a{1,2}?){2}.*", "(?:a?|b)*", "(?:|a)*", "(?:a|)*b", "(?:|a)+", "(?:a??)*", "(?:a*?)*b", "(?:(?:a*)*)*", "(?:a*){2,3}", "(?:a?){3}", "(?:a|b|ab)*c", "(?:a|ab)(?:c|bcd)(?:d*)", "(?>(?:a?)*)b", "(?:a?)*+b", "(?>(?:|a)*)b", "(?:a|b)*+a", "(?:ab)*+a", "(?:ab){1,2}+a", "(?:a{1,2}){2}+", "(?>a{1,2}){2}", "(a){0}b\\1", "(?<id>a){0}b", "(?:(a)\\1)*", "(?:(a|b)\\1)+", "(a*)b\\1", "(.*)/\\1", "(.*)(.*)\\2\\1", "(a?)\\1b", "(?i)(a)\\1",
        "(?x)a b", "(?u)a", "(?U)\\w", "(?c)a", "(?iu)\u00e9", "(?i)\u00e9", "(?i)k", "(?i)s", "(?i)[\u00e9]", "(?i)[k]", "(?i)[^a]", "(?i)[a-z&&[^b]]", "(?i)[A-z]", "(?i)\\x41", "(?i)\\Qa.B\\E", "(?i)[^a-c]", "(?i)\\w", "k", "\u00e9", "[\u00e0-\u00ff]", "\ud83d\ude00", "[\ud83d\ude00]", ".", "..", "\u00e9+", "a\nb", "\n", "a.b", "(?s)a.b", "a\tb", "a b", "#a", "a#", "%", "a%2e",
    };

    private static final String[] INPUTS = {
        "", "a", "b", "c", "A", "B", "ab", "aB", "AB", "Ab", "ba", "aa", "aaa", "aaaa", "abc", "aab", "abab", "abb", "bb", "abbcd", "abcd", "abcbcd", "1", "11", "a1", "a11", "aa1", "-", "&", "^", "]", "[", "a]", "a}", "{", "}", "a.b", "axb", "a/b", "a/a", "b/b", "/", "//", "a/", "/a", "x", "z", "d", "e", "é", "éé", "É", "k", "K", "\u212a", "s", "\u017f", "😀", "😀b", "a😀", "\n", "\r", "\r\n", "\u0085", "\u2028", "\t", "\u000b", " ", "\u00a0", "a\n", "a\r\n", "a\r", "a\u0085", "a\nb", "a\rb", "a\r\nb", "a\n\n", "\na", "a b", "a\tb", "\\", "\\Q", "\\Qa", "\\\\a.", "\\a.", "(", ")", "()", "+", "*", ".", "$", "|", "_", "~", "%", "a%2e", "#a", "a#", "\u0001", "\u0007", "\u001b", "\f", "!", "a b c",
        "/api/org/1/currentTime", "/api/org/a/b/currentTime", "/api/org//currentTime", "/api/org/1/currentTime/", "/api/org", "/API/ORG", "/api/ORG/X", "/api/ORG/x", "/api/org/x", "/api/ABCdef", "/test/", "/test/a/b", "/custom/x", "/custom", "/api/cse", "/api/cse/", "/api/cse/a", "/api/csex", "x/api/cse", "/api/backup/12-ab", "/api/backup/", "/api/x/api/backup/1", "/api/backup/xyz", "/api/org/a-1/currentTime", "/api/customResource1/1/getResource", "myNssFoo12", "myNssFoo", "xmyNssFoo1", "/api/vm/vm-0a1b2c/action/on", "/api/vApp/vm-0a1b/action/", "/api/admin/x", "/api/adm", "/api/x/secret", "/api/v1", "/api/é", "/api/a\nb", "/api/a\rb", "/api/x", "/api/xx", "/api/a/x",
        "aabb", "ababba", "abba", "ababababab", "abababababa", "/aa", "/a", "aac", "abac", "ababc", "aaac", "abc/x", "bdb", "A.B", "a.B", "A.b", "AXb", "b1", "aba", "abaaba", "aabaab", "a/ab", "ab/ab",
    };

    private static int rows;

    public static void main(String[] args) {
        RANDOM.setSeed(args.length > 0 ? Long.parseLong(args[0]) : 20261121);
        int times = args.length > 1 ? Integer.parseInt(args[1]) : 1;
        Set<String> seen = new LinkedHashSet<>();
        for (String p : PATTERNS) {
            if (seen.add(p)) {
                write(p, List.of(INPUTS), true);
            }
        }
        for (int i = 0; i < 4500 * times; i++) {
            String p = alternatives(3);
            if (p.length() <= 120 && seen.add(p)) {
                write(p, inputs(), false);
            }
        }
        for (int i = 0; i < 900 * times; i++) {
            String p = url();
            if (seen.add(p)) {
                write(p, paths(), false);
            }
        }
        for (int i = 0; i < 1500 * times; i++) {
            String p = soup();
            if (seen.add(p)) {
                write(p, inputs(), false);
            }
        }
        OUT.flush();
        System.err.println(seen.size() + " patterns, " + rows + " rows");
    }

    // write keeps all matches of a pattern written by hand and some of others.
    private static void write(String pattern, List<String> inputs, boolean all) {
        Pattern compiled;
        try {
            compiled = Pattern.compile(pattern);
        } catch (IndexOutOfBoundsException | IllegalArgumentException e) {
            OUT.println("P\t" + escape(pattern) + "\t0");
            return;
        }
        StringBuilder out = new StringBuilder("P\t" + escape(pattern) + "\t1\n");
        int lines = 0;
        int yes = 0;
        int no = 0;
        for (String in : inputs) {
            Matcher m = compiled.matcher(in);
            boolean ok;
            try {
                ok = m.matches();
            } catch (StackOverflowError e) {
                continue;
            } catch (NullPointerException e) {
                return; // a defect of the JDK: some classes with && compile and cannot run
            }
            if (ok ? yes++ >= (all ? 1000 : 8) : no++ >= (all ? 40 + yes : 6)) {
                continue;
            }
            String id = "-";
            if (ok && pattern.contains("(?<id>")) {
                try {
                    id = m.group("id") == null ? "-" : "=" + escape(m.group("id"));
                } catch (IllegalArgumentException e) {
                    id = "-";
                }
            }
            lines++;
            out.append("I\t").append(escape(in)).append(ok ? "\t1\t" : "\t0\t").append(id).append('\n');
        }
        rows += lines;
        OUT.print(out);
    }

    private static String pick(String... from) {
        return from[RANDOM.nextInt(from.length)];
    }

    private static List<String> inputs() {
        List<String> list = new ArrayList<>();
        Set<String> seen = new LinkedHashSet<>();
        for (int i = 0; i < 220; i++) {
            StringBuilder b = new StringBuilder();
            for (int n = RANDOM.nextInt(6); n > 0; n--) {
                b.append(RANDOM.nextInt(12) > 0 ? pick("a", "a", "a", "b", "b", "/", "1", "-") : pick("A", "B", "é", "\n", "\r\n", " ", "_", "😀", "\u0085", "&", "]", "c"));
            }
            if (seen.add(b.toString())) {
                list.add(b.toString());
            }
        }
        return list;
    }

    private static List<String> paths() {
        List<String> list = new ArrayList<>();
        Set<String> seen = new LinkedHashSet<>();
        for (int i = 0; i < 400; i++) {
            StringBuilder b = new StringBuilder(pick("/api", "/api", "/cloudapi", "/x/api"));
            for (int n = RANDOM.nextInt(4); n > 0; n--) {
                b.append(pick("/org", "/vm", "/admin", "/Org", "/12", "/a-f", "/0a1b-2c", "/vm-12", "/x;y=1", "/\u00e9", "/action", "/", "/org.json", "/orgs"));
            }
            if (seen.add(b.toString())) {
                list.add(b.toString());
            }
        }
        return list;
    }

    // url makes a pattern as a registration may hold it.
    private static String url() {
        StringBuilder b = new StringBuilder(pick("/api", "/api", "/api", "^/api", "(?i)/api", "/(?:api|cloudapi)", "/api(?!/admin)", "/(?!cloud)[a-z]+", ".*"));
        boolean id = RANDOM.nextInt(3) == 0;
        for (int n = RANDOM.nextInt(4); n > 0; n--) {
            String part = pick("/org", "/vm", "/admin", "/.*", "/[^/]+", "/[-,a-g,0-9]+", "/[0-9]+", "/\\d+", "/\\w*", "/(?:org|vm)", "/(org|vm|[a-z]+)", "/[^/]*+", "/.+", "/.*?", "(?:/[^/]+)*", "/.{1,3}", "/vm-\\d{1,3}", "/[\\w&&[^0-9]]+", "(?=/a)/[a-z-]+", "/.*(?<!org)", "(/[^/]+)?", "/\\Qorg.json\\E", "/[a-z]+(?:\\.json)?", "(?:/org|/vm){1,2}", "/(?>[a-z]+)s?");
            if (id && part.indexOf('(') < 0) {
                part = "/(?<id>" + part.substring(1) + ")";
                id = false;
            }
            b.append(part);
        }
        b.append(pick("", "", "/.*", "/?", "$", "(/.*)?", ".*"));
        if (RANDOM.nextInt(8) == 0) {
            b.append(pick("|", "|/api", "|/api/.*", "|(/api/vm)"));
        }
        return b.toString();
    }

    private static int named;

    private static String alternatives(int depth) {
        if (depth == 3) {
            named = 0;
        }
        StringBuilder b = new StringBuilder(sequence(depth));
        while (RANDOM.nextInt(5) == 0) {
            b.append('|').append(sequence(depth));
        }
        return b.toString();
    }

    private static String sequence(int depth) {
        StringBuilder b = new StringBuilder();
        for (int n = RANDOM.nextInt(4) + (depth == 3 ? 1 : 0); n > 0; n--) {
            b.append(atom(depth));
            if (RANDOM.nextInt(5) < 2) {
                b.append(pick("*", "+", "?", "{2}", "{1,}", "{0,2}", "{1,2}", "*", "+", "?"));
                if (RANDOM.nextInt(4) == 0) {
                    b.append(pick("?", "+"));
                }
            }
        }
        return b.toString();
    }

    private static String atom(int depth) {
        int k = RANDOM.nextInt(depth > 0 ? 24 : 15);
        if (k < 6) {
            return pick("a", "b", "a", "b", "/", "1", "-");
        }
        if (k < 8) {
            return pick(".", ".", "\\d", "\\w", "\\D", "\\W", "\\S", "\\s", "\\h", "\\H", "\\V", "\\R", "\\p{Alpha}", "\\p{Punct}", "\\P{Lower}", "\\p{L}", "\\p{Lu}");
        }
        if (k < 11) {
            return set(2);
        }
        if (k == 11) {
            return pick("^", "$", "\\b", "\\B", "\\A", "\\z", "\\Z", "$");
        }
        if (k == 12) {
            return pick("\\x61", "\\u0062", "\\0141", "\\x{62}", "\\Qa/\\E", "\\Q.\\E", "\\/", "\\-", "\\.", "\\ud83d\\ude00", "é", "\\n", "A");
        }
        if (k == 13) {
            return pick("\\1", "\\2", "\\1", "\\k<id>");
        }
        if (k == 14) {
            return pick("(?i)", "(?s)", "(?-i)", "(?d)", "(?i-s)", "a", "b");
        }
        String in = alternatives(depth - 1);
        switch (k) {
            case 15: case 16:
                return "(" + in + ")";
            case 17: case 18:
                return "(?:" + in + ")";
            case 19:
                return named++ == 0 ? "(?<id>" + in + ")" : "(?i:" + in + ")";
            case 20:
                return pick("(?=", "(?!") + in + ")";
            case 21:
                return pick("(?<=", "(?<!") + in + ")";
            case 22:
                return "(?>" + in + ")";
            default:
                return pick("(?<id>", "(?s:", "(?i:", "(?-i:") + in + ")";
        }
    }

    private static String set(int depth) {
        StringBuilder b = new StringBuilder("[");
        if (RANDOM.nextInt(4) == 0) {
            b.append('^');
        }
        members(b, depth);
        while (RANDOM.nextInt(4) == 0) {
            b.append("&&");
            if (RANDOM.nextBoolean() && depth > 0) {
                b.append(set(depth - 1));
            } else {
                members(b, depth);
            }
        }
        return b.append(']').toString();
    }

    private static void members(StringBuilder b, int depth) {
        for (int n = 1 + RANDOM.nextInt(3); n > 0; n--) {
            int k = RANDOM.nextInt(12);
            if (k < 5) {
                b.append(pick("a", "b", "/", "1", "-", "&", "^", "]", ".", "é"));
            } else if (k < 8) {
                b.append(pick("a-b", "a-z", "0-9", "A-Z", "--/", "\\x61-b", "a-\\u007a"));
            } else if (k < 10) {
                b.append(pick("\\d", "\\w", "\\S", "\\D", "\\W", "\\p{Alpha}", "\\-", "\\]", "\\^", "\\Q-]\\E", "\\P{Punct}", "\\h"));
            } else if (depth > 0) {
                b.append(set(depth - 1));
            }
        }
    }

    private static String soup() {
        StringBuilder b = new StringBuilder();
        for (int n = 1 + RANDOM.nextInt(9); n > 0; n--) {
            b.append(pick("a", "b", "(", ")", "[", "]", "{", "}", "?", "*", "+", "|", "\\", "^", "$", ".", "-", "&&", "1", ",", "<", ">", "=", "!", ":", "i", "Q", "E", "x", "u", "0", "p", "k", "(?", "(?<", "[^", "\\Q", "\\E", "\\x6", "\\0", "é"));
        }
        return b.toString();
    }

    private static String escape(String s) {
        StringBuilder b = new StringBuilder();
        for (char c : s.toCharArray()) {
            if (c < ' ' || c > '~' || c == '\\') {
                b.append(String.format("\\u%04x", (int) c));
            } else {
                b.append(c);
            }
        }
        return b.toString();
    }
}
