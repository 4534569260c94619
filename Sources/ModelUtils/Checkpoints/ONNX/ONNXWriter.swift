import ModelCore
import SystemPackage

extension ONNXModel {
  /// Writes the model as one file, in which weights from other files stay where they are: beside it.
  @discardableResult
  func writeAlone(to location: some FileLocation) throws -> Int {
    let pieces = ProtobufPieces(encoded)
    let file = try AtomicFile(replacing: location, expectedSize: pieces.count)
    try pieces.forEach { try file.write($0) }
    try file.commit()
    return file.position
  }

  /// Writes the model.
  public func write(to location: some FileLocation) throws { try writeAlone(to: location) }
}
