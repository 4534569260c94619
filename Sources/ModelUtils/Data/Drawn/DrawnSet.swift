import ModelCore
import ModelImages
import ModelRandom
import SystemPackage

/// A detection set that is drawn by seed: objects on grounds, with boxes that are exact.
///
/// Every picture has a generator of its own, NumPy's `RandomState` of its part and number, so that a set is the same to the
/// pixel on any machine and with any number of threads. A picture has 1 to 5 objects, of a size from 5 to 20 % of its
/// side, which overlap by at most a quarter of the smaller in one direction; one for which 20 tries find no place is left
/// out.
public struct DrawnSet: Sendable {
  /// What pictures are for. The parts of one seed have nothing in common.
  public enum Part: String, Sendable, Codable, CaseIterable {
    /// What is learned from, and what is judged by.
    case train, val

    var firstNumber: UInt64 { self == .train ? 0 : 500_000 }
  }

  /// What is drawn.
  public enum Objects: Sendable {
    /// The six of ``DrawnShape``, of any colour and rotation.
    case shapes
    /// Pictures of one channel with their classes, such as MNIST's, which are scattered: tinted, resized as Pillow does,
    /// dark places transparent.
    case pictures(ClassificationSet)
  }

  /// The names of the classes; an object's class is an index.
  public let classNames: [String]
  /// The pictures' sides in pixels.
  public let size: Int
  /// What everything is drawn by.
  public let seed: UInt64
  private let stamps: Stamps
  private let photographs: GroundPhotographs?

  private enum Stamps: Sendable {
    case shapes
    case pictures(PastedPictures)
  }

  /// The sides that pictures may have.
  public static let sizes = 16...2048
  /// How many pictures a part may have.
  public static let counts = 1...100_000

  /// A set of objects on grounds.
  /// - Parameters:
  ///   - photographs: files of pictures of which parts become grounds; noise between two colours where there are none.
  ///   - size: the pictures' sides in pixels.
  /// - Throws: `ModelError` for a size that is not 16 to 2048, pictures of several channels, and a class of which there
  ///   is no picture.
  public init(_ objects: Objects = .shapes, on photographs: [FilePath] = [], size: Int = 96, seed: UInt64 = 7) throws {
    guard Self.sizes.contains(size) else {
      throw ModelError(
        .invalid,
        "pictures of \(size)x\(size) pixels are not drawn; a side has \(Self.sizes.lowerBound) to \(Self.sizes.upperBound)"
      )
    }
    switch objects {
    case .shapes: (stamps, classNames) = (.shapes, DrawnShape.allCases.map(\.rawValue))
    case .pictures(let set): (stamps, classNames) = (.pictures(try PastedPictures(set)), set.classNames)
    }
    self.photographs = photographs.isEmpty ? nil : GroundPhotographs(photographs)
    (self.size, self.seed) = (size, seed)
  }

  /// A picture.
  /// - Parameter index: from 0, below 100000; a set's pictures do not depend on how many there are.
  /// - Throws: `ModelError` for another index, and photographs that cannot be read.
  public func scene(_ part: Part, _ index: Int) throws -> DrawnScene {
    guard (0..<Self.counts.upperBound).contains(index) else {
      throw ModelError(.invalid, "a set has pictures 0 to \(Self.counts.upperBound - 1), none at \(index)")
    }
    let number = seed &* 1_000_003 &+ part.firstNumber &+ UInt64(index)
    var generator = try NumPyGenerator(seed: number & 0xffff_ffff)
    var pixels =
      try photographs?.ground(size: size, drawing: &generator) ?? ValueNoise.ground(size: size, drawing: &generator)
    var objects: [DrawnScene.Object] = []
    for _ in 0..<(try generator.integer(from: 1, below: 6)) {
      for _ in 0..<20 {
        guard let (object, stamp) = try stamp(&generator), !objects.contains(where: object.overlaps) else { continue }
        stamp.paint(&pixels, size: size)
        objects.append(object)
        break
      }
    }
    return DrawnScene(size: size, pixels: try Self.bytes(pixels, size: size), objects: objects)
  }

  /// An object somewhere; nil where nothing would be seen of it.
  private func stamp(_ generator: inout NumPyGenerator) throws -> (DrawnScene.Object, DrawnStamp)? {
    let kind = try generator.integer(below: classNames.count)
    let side = Double(size)
    let radius = CMath.exp(generator.uniform(from: CMath.log(side * 0.05), to: CMath.log(side * 0.2)))
    let x = generator.uniform(from: radius, to: side - radius)
    let y = generator.uniform(from: radius, to: side - radius)
    let stamp: DrawnStamp?
    switch stamps {
    case .shapes:
      stamp = DrawnShape.allCases[kind].stamp(x: x, y: y, radius: radius, size: size, drawing: &generator)
    case .pictures(let pictures):
      stamp = try pictures.stamp(kind, x: x, y: y, radius: radius, size: size, drawing: &generator)
    }
    guard let stamp, let (columns, rows) = stamp.box else { return nil }
    return (DrawnScene.Object(classIndex: kind, columns: columns, rows: rows), stamp)
  }

  private static func bytes(_ pixels: [Double], size: Int) throws -> Tensor {
    try Tensor(.uint8, [size, size, 3]) { bytes in
      pixels.withUnsafeBufferPointer { pixels in
        for index in pixels.indices { bytes[index] = UInt8(min(max(pixels[index], 0), 1) * 255 + 0.5) }
      }
    }
  }
}

extension NumPyGenerator {
  /// `randint(low, high)`.
  mutating func integer(from low: Int = 0, below high: Int) throws -> Int {
    try integers(1, from: low, below: high)[0]
  }
}
