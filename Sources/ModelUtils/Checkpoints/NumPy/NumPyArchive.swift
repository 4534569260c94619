import ModelCore

/// NumPy's archives of several arrays, `.npz`.
public enum NumPyArchive {
  /// Reads the arrays by their names, in the order of the archive. One that is not compressed stays in the mapped file.
  /// - Throws: `ModelError` for what is no zip archive, a damaged one, and an array that `NumPyFile` would not read.
  public static func read(_ location: some FileLocation) throws -> OrderedDictionary<String, Tensor> {
    let file = try FileBytes(mapping: location)
    guard ZipArchive.recognizes(file) else { throw ModelError(.malformed, "is no .npz file", file: file.name) }
    do {
      let archive = try ZipArchive(file)
      var arrays: OrderedDictionary<String, Tensor> = [:]
      for member in archive.members.values where member.name.hasSuffix(ending) {
        do {
          arrays[String(member.name.dropLast(ending.count))] = try NumPyFile.tensor(archive.data(of: member))
        } catch let error as ModelError { throw error.about(member.name) }
      }
      return arrays
    } catch let error as ModelError { throw error.inFile(file.name) }
  }

  private static let ending = ".npy"
}
