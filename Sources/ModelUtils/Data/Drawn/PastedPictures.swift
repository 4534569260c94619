import ModelCore
import ModelImages
import ModelRandom

/// Grey pictures with classes, such as MNIST's, to be scattered over grounds.
struct PastedPictures: Sendable {
  private let set: ClassificationSet
  /// For each class its pictures.
  private let places: [[Int]]

  /// - Throws: `ModelError` for pictures of several channels, and a class of which there is none.
  init(_ set: ClassificationSet) throws {
    let shape = try set.picture(0).shape
    guard !set.isInFiles, shape[2] == 1 else {
      throw ModelError(
        .unsupported, "has pictures of 3 channels, and grey ones are scattered", file: set.name,
        advice: "give a folder of files such as MNIST's")
    }
    try set.checkClasses()
    self.set = set
    places = set.labels.enumerated().reduce(into: [[Int]](repeating: [], count: set.classNames.count)) {
      $0[$1.element].append($1.offset)
    }
  }

  /// One of a class, its longer side somewhat more than two radii; nil where it would not lie in the picture.
  func stamp(
    _ kind: Int, x: Double, y: Double, radius: Double, size: Int, drawing generator: inout NumPyGenerator
  ) throws -> DrawnStamp? {
    let picture = try set.picture(places[kind][generator.integer(below: places[kind].count)])
    let longer = Int(2 * radius) + 6
    let (height, width) = (picture.shape[0], picture.shape[1])
    func scaled(_ side: Int) -> Int {
      max(1, Int((Double(longer) * Double(side) / Double(max(height, width))).rounded()))
    }
    let (high, wide) = (scaled(height), scaled(width))
    let (left, top) = (Int(x - Double(wide) / 2), Int(y - Double(high) / 2))
    guard left >= 0, top >= 0, left + wide <= size, top + high <= size else { return nil }
    let grey = try resizeAntialiased(picture, to: [high, wide]).elements(of: UInt8.self).map { Double($0) / 255 }
    let tint = (0..<3).map { _ in 0.35 + 0.65 * generator.uniform() }
    return DrawnStamp(
      columns: left..<left + wide, rows: top..<top + high, cover: grey.map { min(max($0 * 6, 0), 1) },
      colors: grey.flatMap { value in tint.map { value * $0 } })
  }
}
