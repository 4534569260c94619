/// What the text of a number, already known to follow JSON's grammar, amounts to.
enum JSONNumber {
  /// The value of digits alone, or nil where there is a sign or it does not fit.
  static func natural(_ text: UnsafeBufferPointer<UInt8>) -> UInt64? {
    var value: UInt64 = 0
    for byte in text {
      guard JSONReader.isDigit(byte), append(byte, to: &value) else { return nil }
    }
    return value
  }

  /// Whether serde_json finds the number inside the range of doubles.
  ///
  /// It keeps as many digits as 64 bits hold and multiplies them by a power of ten, so that a few numbers just below
  /// the greatest double are refused; the steps here are those, because the verdict has to be the same.
  static func isDouble(_ text: UnsafeBufferPointer<UInt8>) -> Bool {
    var rest = text[...]
    if rest.first == UInt8(ascii: "-") { rest = rest.dropFirst() }
    var significand: UInt64 = 0
    var exponent = 0
    var isFull = false
    while let digit = takeDigit(&rest) {
      if isFull || !append(digit, to: &significand) {
        isFull = true
        exponent += 1
      }
    }
    if rest.first == UInt8(ascii: ".") {
      rest = rest.dropFirst()
      isFull = false
      while let digit = takeDigit(&rest) {
        if isFull || !append(digit, to: &significand) { isFull = true } else { exponent -= 1 }
      }
    }
    if let letter = rest.first, letter == UInt8(ascii: "e") || letter == UInt8(ascii: "E") {
      rest = rest.dropFirst()
      let isNegative = rest.first == UInt8(ascii: "-")
      if isNegative || rest.first == UInt8(ascii: "+") { rest = rest.dropFirst() }
      var power: Int32 = 0
      while let digit = takeDigit(&rest) {
        let (tens, overflow) = power.multipliedReportingOverflow(by: 10)
        let (next, carry) = tens.addingReportingOverflow(Int32(digit - UInt8(ascii: "0")))
        if overflow || carry { return significand == 0 || isNegative }
        power = next
      }
      exponent += isNegative ? -Int(power) : Int(power)
    }
    return isFinite(significand, exponent)
  }

  private static func isFinite(_ significand: UInt64, _ exponent: Int) -> Bool {
    if significand == 0 || exponent < 0 { return true }
    guard exponent < powersOfTen.count else { return false }
    return (Double(significand) * powersOfTen[exponent]).isFinite
  }

  /// 1, 10, … 1e308, each rounded correctly.
  private static let powersOfTen = (0...308).map { Double("1e\($0)") ?? .infinity }

  private static func takeDigit(_ rest: inout Slice<UnsafeBufferPointer<UInt8>>) -> UInt8? {
    guard let byte = rest.first, JSONReader.isDigit(byte) else { return nil }
    rest = rest.dropFirst()
    return byte
  }

  /// Appends a decimal digit where the result fits.
  private static func append(_ digit: UInt8, to value: inout UInt64) -> Bool {
    let (tens, overflow) = value.multipliedReportingOverflow(by: 10)
    let (next, carry) = tens.addingReportingOverflow(UInt64(digit - UInt8(ascii: "0")))
    if overflow || carry { return false }
    value = next
    return true
  }
}
