import ModelCore

/// Shapes as people write them.
enum ShapeText {
  /// `1×3×640×640`; `scalar` without axes.
  static func one(_ shape: [Int]) -> String {
    shape.isEmpty ? "scalar" : shape.map(String.init).joined(separator: "×")
  }

  /// The first of several, and how many more there are.
  static func list(_ shapes: [[Int]]) -> String {
    guard let first = shapes.first else { return "" }
    return shapes.count == 1 ? one(first) : "\(one(first)) +\(shapes.count - 1)"
  }
}

/// Numbers as people read them.
enum FigureText {
  /// `1,872,157`.
  static func grouped(_ number: Int) -> String {
    let digits = Array("\(number.magnitude)")
    let text = digits.enumerated().map { index, digit in
      index > 0 && (digits.count - index) % 3 == 0 ? ",\(digit)" : "\(digit)"
    }.joined()
    return number < 0 ? "-" + text : text
  }

  /// `1.87 M`, with three digits; whole below a thousand.
  static func short(_ number: Double) -> String {
    let units = ["", " K", " M", " G", " T", " P"]
    var (value, unit) = (number, 0)
    while abs(value) >= 999.5, unit < units.count - 1 { (value, unit) = (value / 1000, unit + 1) }
    return CFormat.string("%.3g", value) + units[unit]
  }

  /// `+1,872`, `-9,504`, `0`.
  static func change(_ number: Int) -> String { number > 0 ? "+" + grouped(number) : grouped(number) }

  /// `28.6 %`; what is not quite nothing, or all, does not look like that.
  static func percent(_ share: Double) -> String {
    if share > 0, share < 0.0005 { return "< 0.1 %" }
    if share < 1, share >= 0.9995 { return "> 99.9 %" }
    return CFormat.string("%.1f", share * 100) + " %"
  }

  /// `1 tensor`, `2 tensors`.
  static func count(_ number: Int, _ what: String) -> String { "\(grouped(number)) \(what)\(number == 1 ? "" : "s")" }
}
