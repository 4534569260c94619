import ModelCore
import Testing

/// The same text as Python's `format % value`.
@Suite struct CFormatTests {
  @Test(
    arguments: [
      ("%5g", 0, "    0"), ("%5g", -0.0, "   -0"), ("%5g", 12, "   12"), ("%5g", 100000, "100000"),
      ("%5g", 1_872_157, "1.87216e+06"), ("%5g", 1e-5, "1e-05"), ("%12g", 1_872_157, " 1.87216e+06"),
      ("%12g", 0.00012345, "  0.00012345"), ("%12g", 99999.95, "     99999.9"), ("%10.3g", 1, "         1"),
      ("%10.3g", 100000, "     1e+05"), ("%10.3g", 1.0 / 3, "     0.333"), ("%10.3g", -2.5, "      -2.5"),
      ("%10.3g", 0.00012345, "  0.000123"), ("%10.3g", .infinity, "       inf"), ("%10.3g", .nan, "       nan"),
      ("%10.3g", -.infinity, "      -inf"), ("%.3g", 0.29918, "0.299"), ("%.3g", 123_456_789, "1.23e+08"),
      ("%8.4f", 0.29918, "  0.2992"), ("%8.4f", 123_456_789, "123456789.0000"), ("%.1f", 99999.95, "99999.9"),
      ("%6.2f", 1e-5, "  0.00"), ("%f", 1e-5, "0.000010"), ("%g", 0.3, "0.3"),
    ] as [(String, Double, String)])
  func doubles(format: String, value: Double, text: String) {
    #expect(CFormat.string(format, value) == text)
  }

  /// A computed NaN has its sign bit set on x86; Python prints none.
  @Test func nanHasNoSign() {
    #expect(CFormat.string("%10.3g", -Double.nan) == "       nan")
  }

  @Test func integers() {
    #expect(CFormat.string("%12d", 1_872_157) == "     1872157")
    #expect(CFormat.string("%d", Int.min) == "-9223372036854775808")
    #expect(CFormat.string("%3d|", 12345) == "12345|")
  }

  /// Python pads by code points.
  @Test func text() {
    #expect(CFormat.string("%9s", "True") == "     True")
    #expect(CFormat.string("%5s|", "toolong") == "toolong|")
    #expect(CFormat.string("%5s", "é漢字") == "  é漢字")
    #expect(CFormat.string("%5s", "e\u{301}") == "   e\u{301}")
    #expect(CFormat.string("%s", "") == "")
  }

  @Test func severalOfAKind() {
    #expect(
      CFormat.string("%5s %40s %9s %12s", "layer", "name", "gradient", "parameters")
        == "layer                                     name  gradient   parameters")
    #expect(CFormat.string("%d of %s: %.1f", 1, "two", 3.0) == "1 of two: 3.0")
    #expect(CFormat.string("nothing") == "nothing")
  }

  @Test func aPercentSignInAnArgumentStandsForItself() {
    #expect(CFormat.string("%s|%d", "%n%s", 5) == "%n%s|5")
  }

  @Test func aLongNumber() {
    #expect(CFormat.string("%f", Double.greatestFiniteMagnitude).count == 316)
  }
}
