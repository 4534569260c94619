import ModelCore

/// A table of numbers over epochs, `results.csv`: a line of names, then a line for each row.
///
/// A number is printed with the fewest digits that read back as the same `Double`, a whole one without a point; NaN and
/// infinities are `nan`, `inf` and `-inf`. What was not measured is an empty cell.
public struct ResultsTable: Sendable, Hashable {
  /// The names of the columns, each once.
  public let columns: [String]
  /// As many values as there are columns; nil for what was not measured.
  public private(set) var rows: [[Double?]] = []
  /// Whether the file that the table was read from ended within a row, as a kill leaves it; that row is left out.
  public internal(set) var isCut = false

  /// A table without rows.
  /// - Throws: `ModelError` for no columns, and names that are empty or not different.
  public init(columns: [String]) throws {
    guard !columns.isEmpty, !columns.contains("") else {
      throw ModelError(.invalid, "a table has at least one column, and each has a name")
    }
    if let twice = columns.first(where: { name in columns.count { $0 == name } > 1 }) {
      throw ModelError(.invalid, "names two columns", subject: twice)
    }
    self.columns = columns
  }

  /// Adds a row.
  /// - Throws: `ModelError` for another number of values than there are columns.
  public mutating func append(_ row: [Double?]) throws {
    guard row.count == columns.count else {
      throw ModelError(.mismatch, "a row has \(columns.count) values, not \(row.count)")
    }
    rows.append(row)
  }

  /// A row of values by the names of their columns; the others are nil.
  /// - Throws: `ModelError` for a name that is no column's.
  public func row(_ values: [String: Double]) throws -> [Double?] {
    if let other = values.keys.sorted().first(where: { !columns.contains($0) }) {
      throw ModelError(.missing, "is no column of the table", subject: other)
    }
    return columns.map { values[$0] }
  }

  /// The values of a column, row by row; nil where there is no such column.
  public subscript(column: String) -> [Double?]? {
    columns.firstIndex(of: column).map { index in rows.map { $0[index] } }
  }

  /// The rows up to an epoch, for a run that goes on behind it.
  /// - Parameters:
  ///   - limit: the last number that is kept.
  ///   - column: where it stands.
  /// - Throws: `ModelError` when there is no such column.
  public func rows(through limit: Int, in column: String = "epoch") throws -> ResultsTable {
    guard let index = columns.firstIndex(of: column) else {
      throw ModelError(.missing, "is no column of the table", subject: column)
    }
    var table = self
    table.rows = rows.filter { row in row[index].map { $0 <= Double(limit) } ?? false }
    table.isCut = false
    return table
  }

  // MARK: Text

  /// The whole file.
  public var csv: String {
    rows.reduce(into: columns.map(CSVText.quoted).joined(separator: ",") + "\n") { $0 += Self.line($1) }
  }

  /// The line of a row.
  static func line(_ row: [Double?]) -> String {
    // An empty line would be none.
    if row == [nil] { return "\"\"\n" }
    return row.map { $0.map(CSVText.number) ?? "" }.joined(separator: ",") + "\n"
  }

  /// Writes the file, whole or not at all.
  /// - Throws: `ModelError` when it cannot be written.
  public func write(to location: some FileLocation) throws {
    try AtomicFile.write(csv, to: location)
  }
}
