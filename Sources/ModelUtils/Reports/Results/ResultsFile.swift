import ModelCore
import SystemPackage

/// A `results.csv` that grows row by row while a run goes on. A row is one write, so that a kill leaves whole rows.
public final class ResultsFile {
  /// What is in the file.
  public private(set) var table: ResultsTable
  /// Where it stands.
  public var path: FilePath { file.path }
  private let file: AppendedFile

  /// Begins a file.
  /// - Throws: `ModelError` when one stands there, it cannot be written, or for columns that `ResultsTable` refuses.
  public init(creating location: some FileLocation, columns: [String]) throws {
    table = try ResultsTable(columns: columns)
    let path = try location.filePath
    try FileFolder.make(path.removingLastComponent())
    guard !FileFolder.exists(path) else {
      throw ModelError(
        .exists, "stands here already", file: path.string, advice: "resume its run, or name another place")
    }
    try table.write(to: path)
    file = try AppendedFile(path, creating: false)
  }

  /// Goes on with a file: what stands behind an epoch, and a row that was not finished, is removed; the file is
  /// replaced as a whole.
  /// - Parameters:
  ///   - columns: must be the file's.
  ///   - epoch: the last one that is kept, by the column `epoch`.
  /// - Throws: `ModelError` when the file cannot be read or written, is broken, or has other columns.
  public init(resuming location: some FileLocation, columns: [String], through epoch: Int) throws {
    let path = try location.filePath
    let found = try ResultsTable(contentsOf: path)
    guard found.columns == columns else {
      throw ModelError(
        .mismatch,
        "has the columns \(found.columns.joined(separator: ", ")), not \(columns.joined(separator: ", "))",
        file: path.string, advice: "move it away, or resume with the arguments of the run that made it")
    }
    table = try found.rows(through: epoch)
    try table.write(to: path)
    file = try AppendedFile(path, creating: false)
  }

  /// Adds a row.
  /// - Parameter row: as many values as there are columns; nil for what was not measured.
  /// - Throws: `ModelError` for another number of values, and when the row cannot be written, which leaves the file as
  ///   it was.
  public func append(_ row: [Double?]) throws {
    var longer = table
    try longer.append(row)
    try file.append(Array(ResultsTable.line(row).utf8))
    table = longer
  }

  /// Adds a row of values by the names of their columns; the others stay empty.
  /// - Throws: as `append`, and for a name that is no column's.
  public func append(_ values: [String: Double]) throws {
    try append(table.row(values))
  }
}
