import ModelUtils

/// How results are told to a person.
enum Text {
  /// `0.299`, as Python's `%.3g`.
  static func threeDigits(_ value: Double) -> String { CFormat.string("%.3g", value) }

  /// `14.6 MB`, of 10^6 bytes.
  static func bytes(_ count: Int) -> String {
    let units = ["KB", "MB", "GB", "TB", "PB", "EB"]
    guard count >= 1000 else { return FigureText.count(count, "byte") }
    var (value, unit) = (Double(count) / 1000, 0)
    while value >= 999.95, unit < units.count - 1 { (value, unit) = (value / 1000, unit + 1) }
    return CFormat.string("%.1f ", value) + units[unit]
  }

  static func padded(_ text: String, to width: Int) -> String {
    text + String(repeating: " ", count: max(0, width - text.count))
  }

  /// The first eight of some names, in quotation marks.
  static func list(_ names: [String]) -> String {
    names.prefix(8).map { "'\($0.printable())'" }.joined(separator: ", ") + (names.count > 8 ? ", …" : "")
  }

  /// Which parameters a sparsity leaves out; nil where it has all.
  static func notCounted(_ sparsity: Sparsity) -> String? {
    let names = sparsity.notCounted
    guard !names.isEmpty else { return nil }
    return "zeros are not counted in \(names.count) parameters, whose element types are only carried: \(list(names))"
  }

  static func zeros(_ zeros: Int, of elements: Int, in name: String) -> String {
    let share = elements == 0 ? 0 : Double(zeros) / Double(elements)
    return CFormat.string("%8.4f %12d %12d  ", share, zeros, elements) + name.printable()
  }
}
