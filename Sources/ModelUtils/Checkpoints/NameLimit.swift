import ModelCore

extension StateDict {
  /// The most bytes that the paths of all modules that the names go through may take, far beyond any model's.
  private static let pathLimit = 256 << 20

  /// Refuses names so long and so deep that the modules they name could not be listed: each dot of a name ends the path
  /// of a module, and 900 long names of 255 parts would be 12 GB of paths.
  /// - Throws: `ModelError` that names the entry with which the limit is passed.
  func checkNames() throws {
    var bytes = 0
    for name in names {
      for (length, byte) in name.utf8.enumerated() where byte == UInt8(ascii: ".") {
        bytes += length
        guard bytes <= Self.pathLimit else {
          throw ModelError(
            .limit,
            "the names of its tensors are so long and deep that the paths of their modules take more than "
              + "\(Self.pathLimit) bytes", subject: name.printable(limit: 60))
        }
      }
    }
  }
}
