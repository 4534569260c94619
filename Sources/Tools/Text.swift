import ModelUtils

/// How results are told to a person.
enum Text {
  /// `0.299`, as Python's `%.3g`.
  static func threeDigits(_ value: Double) -> String { CFormat.string("%.3g", value) }

  /// The first eight of some names, in quotation marks.
  static func list(_ names: [String]) -> String {
    names.prefix(8).map { "'\($0.printable())'" }.joined(separator: ", ") + (names.count > 8 ? ", …" : "")
  }

  static func zeros(_ zeros: Int, of elements: Int, in name: String) -> String {
    let share = elements == 0 ? 0 : Double(zeros) / Double(elements)
    return CFormat.string("%8.4f %12d %12d  ", share, zeros, elements) + name.printable()
  }
}

extension ModelInfo {
  /// Name, type, parameters of its own and their share, a line for each module.
  var moduleTable: String {
    let header = CFormat.string("%12s %7s  ", "parameters", "share") + "name (type)"
    let rows = modules.map { row in
      let share = parameters == 0 ? 0 : 100 * Double(row.parameters) / Double(parameters)
      let name = row.name.isEmpty ? "." : row.name.printable()
      return CFormat.string("%12d %6.2f", row.parameters, share) + "%  " + name
        + (row.type.map { " (\($0.printable()))" } ?? "")
    }
    return ([header] + rows).joined(separator: "\n")
  }
}
