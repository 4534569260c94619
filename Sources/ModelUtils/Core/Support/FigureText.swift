/// Numbers as people read them.
package enum FigureText {
  /// `1,872,157`.
  package static func grouped(_ number: Int) -> String {
    let digits = Array("\(number.magnitude)")
    let text = digits.enumerated().map { index, digit in
      index > 0 && (digits.count - index) % 3 == 0 ? ",\(digit)" : "\(digit)"
    }.joined()
    return number < 0 ? "-" + text : text
  }

  /// `1.87 M`, with three digits; whole below a thousand.
  package static func short(_ number: Double) -> String {
    let units = ["", " K", " M", " G", " T", " P"]
    var (value, unit) = (number, 0)
    while abs(value) >= 999.5, unit < units.count - 1 { (value, unit) = (value / 1000, unit + 1) }
    return CFormat.string("%.3g", value) + units[unit]
  }

  /// `+1,872`, `-9,504`, `0`.
  package static func change(_ number: Int) -> String { number > 0 ? "+" + grouped(number) : grouped(number) }

  /// `28.6 %`; what is not quite nothing, or all, does not look like that.
  package static func percent(_ share: Double) -> String {
    if share > 0, share < 0.0005 { return "< 0.1 %" }
    if share < 1, share >= 0.9995 { return "> 99.9 %" }
    return CFormat.string("%.1f", share * 100) + " %"
  }

  /// `1 tensor`, `2 tensors`.
  package static func count(_ number: Int, _ one: String, _ many: String? = nil) -> String {
    "\(grouped(number)) \(number == 1 ? one : many ?? one + "s")"
  }
}
