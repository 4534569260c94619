import ModelCore

/// How much of a tree stands below a module: the places that modules and tensors have in it, and the bytes of all their
/// paths. Children that several modules share count in each, so that what is small in a file cannot unfold to more than
/// memory holds.
struct ModuleExtent {
  private var places = 1
  private var nameBytes = 0

  /// Far beyond any model.
  static let placeLimit = 1 << 20
  private static let nameLimit = 256 << 20

  /// Adds what stands below a name.
  mutating func add(_ name: String, _ below: ModuleExtent) {
    places += below.places
    nameBytes += below.nameBytes + below.places * (name.utf8.count + 1)
  }

  /// - Parameter path: the module's.
  /// - Throws: `ModelError` beyond the limits.
  func check(_ path: String) throws {
    guard places <= Self.placeLimit, nameBytes <= Self.nameLimit else {
      throw ModelError(
        .limit,
        "shared modules unfold to more than \(Self.placeLimit) places of modules and tensors",
        subject: path.isEmpty ? nil : path)
    }
  }
}
