import ModelCore
import ModelImages
import ModelRandom

/// All random choices of one augmented sample. They depend on no picture: a stream of them can be drawn in order while
/// threads make the pictures in any.
struct SampleDraws: Sendable, Equatable {
  /// What the sample is made of.
  enum Base: Sendable, Equatable {
    case one(index: Int, AffineDraws)
    case mosaic(MosaicDraws)
  }

  /// A mosaic that is blended into the first, which keeps the share.
  struct Mixup: Sendable, Equatable {
    let mosaic: MosaicDraws
    let share: Double
  }

  let base: Base
  var mixup: Mixup?
  /// Factors of hue, saturation and value.
  var gains: [Double]?
  var isFlippedUpDown = false
  var isFlippedLeftRight = false
}

/// Four pictures, the point where they meet, and how the whole moves.
struct MosaicDraws: Sendable, Equatable {
  /// Top left, top right, bottom left, bottom right.
  let indices: [Int]
  let centerX: Int, centerY: Int
  let affine: AffineDraws
}

/// How a picture moves.
struct AffineDraws: Sendable, Equatable {
  let degrees: Double
  let scale: Double
  let shearX: Double, shearY: Double
  /// Where the middle goes, as a share of the sides.
  let x: Double, y: Double

  /// The map from a picture of [height, width] to a square.
  func map(from size: [Int], to side: Int) -> AffineMap {
    let turn = degrees * (Double.pi / 180)
    let (along, across) = (CMath.cos(turn) * scale, CMath.sin(turn) * scale)
    func slope(_ degrees: Double) -> Double { CMath.tan(degrees * Double.pi / 180) }
    let middle = AffineMap(dx: -Double(size[1]) / 2, dy: -Double(size[0]) / 2)
    let turned = AffineMap(xx: along, xy: across, yx: -across, yy: along)
    let sheared = AffineMap(xy: slope(shearX), yx: slope(shearY))
    return AffineMap(dx: x * Double(side), dy: y * Double(side)) * sheared * turned * middle
  }
}

extension DetectionAugmentation {
  /// Draws a sample as YOLOv6's data set does, number for number.
  /// - Parameters:
  ///   - index: the sample, of `count`.
  ///   - side: of the square inputs, in pixels.
  func draws(
    of index: Int, count: Int, side: Int, drawing generators: inout AugmentationGenerators
  ) throws -> SampleDraws {
    var draws: SampleDraws
    if generators.python.random() < mosaic {
      draws = SampleDraws(base: .mosaic(try mosaicDraws(index, count, side, &generators.python)))
      if generators.python.random() < mixup {
        let other = try generators.python.randrange(0, count)
        let mosaic = try mosaicDraws(other, count, side, &generators.python)
        draws.mixup = SampleDraws.Mixup(mosaic: mosaic, share: try generators.numPy.beta(32, 32))
      }
    } else {
      draws = SampleDraws(base: .one(index: index, affineDraws(&generators.python)))
    }
    if hue != 0 || saturation != 0 || value != 0 {
      draws.gains = [hue, saturation, value].map { generators.numPy.uniform(from: -1, to: 1) * $0 + 1 }
    }
    draws.isFlippedUpDown = generators.python.random() < flipUpDown
    draws.isFlippedLeftRight = generators.python.random() < flipLeftRight
    return draws
  }

  private func mosaicDraws(
    _ index: Int, _ count: Int, _ side: Int, _ generator: inout PythonGenerator
  ) throws -> MosaicDraws {
    var indices = [index] + (try generator.choices(count, draws: 3))
    generator.shuffle(&indices)
    let (low, high) = (Double(side / 2), Double(3 * side / 2))
    let y = Int(generator.uniform(low, high))
    let x = Int(generator.uniform(low, high))
    return MosaicDraws(indices: indices, centerX: x, centerY: y, affine: affineDraws(&generator))
  }

  private func affineDraws(_ generator: inout PythonGenerator) -> AffineDraws {
    let turn = generator.uniform(-degrees, degrees)
    let size = generator.uniform(1 - scale, 1 + scale)
    let (shearX, shearY) = (generator.uniform(-shear, shear), generator.uniform(-shear, shear))
    let x = generator.uniform(0.5 - translate, 0.5 + translate)
    let y = generator.uniform(0.5 - translate, 0.5 + translate)
    return AffineDraws(degrees: turn, scale: size, shearX: shearX, shearY: shearY, x: x, y: y)
  }
}
