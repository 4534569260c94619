import ArgumentParser
import ModelUtils

/// The modules of a model in a table.
struct ModuleTable {
  enum Order: String, Choice { case macs, parameters, bytes }

  private struct Row {
    let name: String
    let type: String?
    let outputShape: [Int]?
    var parameters: Int
    var macs: Double?
  }

  private let rows: [Row]
  private let parameters: Int

  /// - Parameters:
  ///   - depth: how deep a module may stand; what is below counts as its own. All, each with its own alone, when nil.
  ///   - order: nil for that of the model. Bytes are those of parameters.
  ///   - top: how many rows at most.
  init(_ info: ModelInfo, depth: Int?, order: Order?, top: Int?) {
    var rows = info.modules.map {
      Row(name: $0.name, type: $0.type, outputShape: $0.outputShape, parameters: $0.parameters, macs: $0.macs)
    }
    if let depth { rows = Self.totals(rows, depth: depth) }
    switch order {
    case .macs: rows.sort { ($0.macs ?? 0) > ($1.macs ?? 0) }
    case .parameters, .bytes: rows.sort { $0.parameters > $1.parameters }
    case nil: break
    }
    (self.rows, parameters) = (Array(rows.prefix(top ?? rows.count)), info.parameters)
  }

  private static func totals(_ rows: [Row], depth: Int) -> [Row] {
    func level(_ name: String) -> Int { name.isEmpty ? 0 : name.utf8.count { $0 == UInt8(ascii: ".") } + 1 }
    var result: [Row] = []
    var places: [String: Int] = [:]
    for row in rows where level(row.name) <= depth {
      places[row.name] = result.count
      result.append(row)
    }
    for row in rows {
      // A module counts in itself and in all that it stands in.
      var name = row.name
      while !name.isEmpty {
        name = name.lastIndex(of: ".").map { String(name[..<$0]) } ?? ""
        guard let place = places[name] else { continue }
        result[place].parameters += row.parameters
        if let macs = row.macs { result[place].macs = (result[place].macs ?? 0) + macs }
      }
    }
    return result
  }

  /// Parameters and their share, multiplications, output shape, name and type in columns as wide as what stands in them.
  /// A dash stands for what is not known, or not done in evaluation.
  func text(width: Int) -> String {
    let cells = rows.map { row in
      [
        FigureText.grouped(row.parameters),
        CFormat.string("%.2f", parameters == 0 ? 0 : 100 * Double(row.parameters) / Double(parameters)) + "%",
        row.macs.flatMap { Int(exactly: $0.rounded()) }.map(FigureText.grouped) ?? "-",
        row.outputShape.map { $0.map(String.init).joined(separator: "x") } ?? "-",
      ]
    }
    let header = ["parameters", "share", "MACs", "output"]
    let widths = header.indices.map { column in ([header] + cells).map { $0[column].count }.max() ?? 0 }
    func line(_ cells: [String], _ name: String) -> String {
      zip(cells, widths).map { String(repeating: " ", count: $1 - $0.count) + $0 }.joined(separator: " ") + "  " + name
    }
    let lines = zip(cells, rows).map { cells, row in
      line(cells, (row.name.isEmpty ? "." : row.name.printable()) + (row.type.map { " (\($0.printable()))" } ?? ""))
    }
    return ([line(header, "name (type)")] + lines).joined(separator: "\n")
  }
}

/// A tensor in a table.
struct TensorRow: Encodable {
  let name: String
  let dtype: DType
  let shape: [Int]
  let bytes: Int
  /// What its values are like, where that was asked for and can be said.
  private(set) var statistics: TensorSummary?

  /// - Parameter hasStatistics: whether all values are read.
  static func rows(of model: Model, hasStatistics: Bool) throws -> [TensorRow] {
    var rows = model.stateDict().map { name, tensor in
      (row: Self(name: name, dtype: tensor.dtype, shape: tensor.shape, bytes: tensor.byteCount), tensor: tensor)
    }
    if hasStatistics {
      try Parallel.update(&rows) { entry in
        do { entry.row.statistics = try TensorSummary(entry.tensor) } catch let error as ModelError {
          // Of types that are only carried nothing can be said.
          if error.kind != .unsupported { throw error.about(entry.row.name) }
        }
      }
    }
    return rows.map(\.row)
  }

  static func table(_ rows: [TensorRow]) -> String {
    let hasStatistics = rows.contains { $0.statistics != nil }
    let cells = rows.map { row in
      let shape = row.shape.map(String.init).joined(separator: "x")
      return [row.dtype.rawValue, Text.bytes(row.bytes), shape] + (hasStatistics ? row.figures : [])
    }
    let header =
      ["dtype", "size", "shape"] + (hasStatistics ? ["min", "max", "mean", "deviation", "zeros", "not finite"] : [])
    let widths = header.indices.map { column in ([header] + cells).map { $0[column].count }.max() ?? 0 }
    func line(_ cells: [String], _ name: String) -> String {
      zip(cells, widths).map { Text.padded($0, to: $1) }.joined(separator: "  ") + "  " + name
    }
    let lines = zip(cells, rows).map { line($0, $1.name.printable()) }
    return ([line(header, "name")] + lines).joined(separator: "\n")
  }

  private var figures: [String] {
    guard let statistics else { return [String](repeating: "-", count: 6) }
    let numbers = [statistics.min, statistics.max, statistics.mean, statistics.deviation]
    return numbers.map { $0.map { CFormat.string("%.4g", $0) } ?? "-" }
      + [FigureText.grouped(statistics.zeros), FigureText.grouped(statistics.nonFinite)]
  }
}

extension ModelOverview {
  /// Six to ten lines for a person.
  /// - Parameters:
  ///   - bytes: of the file.
  ///   - zeros: nil where they were not counted.
  func lines(bytes: Int?, size: ImageSize, zeros: Sparsity?) -> [String] {
    var lines: [(String, String)] = []
    let place = key.isEmpty ? "" : ", '\(key.printable())'" + (keys.count > 1 ? " of \(Text.list(keys))" : "")
    lines.append(("format", "\(format.rawValue)\(bytes.map { ", \(Text.bytes($0))" } ?? "")\(place)"))
    if let className { lines.append(("class", className.printable() + (task.map { ", \($0.printable())" } ?? ""))) }
    if let classes {
      let names = (classNames ?? []).prefix(4).map { $0.printable() }.joined(separator: ", ")
      let more = (classNames?.count ?? 0) > 4 ? ", …" : ""
      lines.append(("classes", FigureText.grouped(classes) + (names.isEmpty ? "" : ": \(names)\(more)")))
    }
    if let strides, !strides.isEmpty { lines.append(("strides", strides.map(String.init).joined(separator: " "))) }
    let noted = [epoch.map { "epoch \($0)" }, date?.printable()].compactMap { $0 }
    if !noted.isEmpty { lines.append(("trained", noted.joined(separator: ", "))) }
    if let batchNorms {
      lines.append(
        (
          "state",
          batchNorms == 0 ? "no batch norms (fused, or made without)" : FigureText.count(batchNorms, "batch norm")
        ))
    }
    let types = dtypes.map { "\(Text.bytes($0.bytes)) of \($0.dtype) in \(FigureText.count($0.tensors, "tensor"))" }
    lines.append(("zeros", zeros.map(\.description) ?? "not counted: give --statistics"))
    lines.append(("tensors", types.isEmpty ? "none" : types.joined(separator: ", ")))
    if let memory {
      var parts = ["parameters \(Text.bytes(memory.parameters))", "input \(Text.bytes(memory.input))"]
      if let largest = memory.largestActivation, let all = memory.activations {
        parts += ["largest activation \(Text.bytes(largest))", "all \(Text.bytes(all))"]
      }
      lines.append(("memory", "float32 at \(size): " + parts.joined(separator: ", ")))
    }
    if !packages.isEmpty {
      lines.append(("needs", "torch, \(packages.joined(separator: ", ").printable()) to load in Python"))
    }
    if !heaviest.isEmpty {
      let parts = heaviest.map { "\($0.name.printable()) \(CFormat.string("%.1f", 100 * $0.share)) %" }
      lines.append(("heaviest", parts.joined(separator: ", ")))
    }
    return lines.map { "  \(Text.padded($0.0, to: 8)) \($0.1)" }
  }
}
