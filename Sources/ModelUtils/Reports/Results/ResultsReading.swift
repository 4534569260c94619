import ModelCore

extension ResultsTable {
  /// Reads a file. A last row without an end of line was not finished: it is left out, and `isCut` says so.
  /// - Throws: `ModelError` when the file cannot be read, has no line of names, or has a row of another length or with
  ///   something else than numbers.
  public init(contentsOf location: some FileLocation) throws {
    try self.init(FileBytes(mapping: location))
  }

  /// Reads a file's bytes.
  /// - Throws: as `init(contentsOf:)`.
  public init(_ file: FileBytes) throws {
    do {
      let (lines, isCut) = try CSVText.lines(file.bytes)
      guard let names = lines.first else { throw ModelError(.malformed, "has no line with the names of its columns") }
      do {
        try self.init(columns: names)
      } catch let error as ModelError {
        throw ModelError(.malformed, error.reason, subject: error.subject)
      }
      for (index, line) in lines.enumerated().dropFirst() {
        guard line.count == names.count else {
          throw ModelError(.malformed, "row \(index) has \(line.count) values, not \(names.count)")
        }
        try append(
          zip(names, line).map { name, text in
            if text.isEmpty { return nil }
            guard let value = Double(text) else {
              throw ModelError(
                .malformed, "row \(index) has \"\(text.printable(limit: 40))\", not a number", subject: name)
            }
            return value
          })
      }
      self.isCut = isCut
    } catch let error as ModelError {
      throw error.inFile(file.name)
    }
  }
}
