import ModelCore
import ModelImages
import ModelRandom

/// One of torchvision's transforms of pictures, with the draws that torch makes for it.
///
/// Pictures are uint8 [height, width, channels] with 1 or 3 channels. Resizing is `resizeAntialiased`.
public enum PictureTransform: Sendable, Hashable {
  /// `Resize` of a number: the shorter side gets this length, the longer one keeps the proportions, rounded down.
  case resize(shorterSide: Int, filter: ResamplingFilter = .bilinear)
  /// `Resize` of two numbers: exactly this size.
  case resizeExactly(height: Int, width: Int, filter: ResamplingFilter = .bilinear)
  /// `CenterCrop`; what lies beyond the picture is black.
  case centerCrop(height: Int, width: Int)
  /// `RandomResizedCrop`: a part of a random area and aspect ratio (width to height), resized.
  case randomResizedCrop(
    height: Int, width: Int, scale: ClosedRange<Double> = 0.08...1, ratio: ClosedRange<Double> = 3.0 / 4...4.0 / 3,
    filter: ResamplingFilter = .bilinear)
  /// `RandomCrop`: a part at a random place, after so many black pixels were put on each side.
  case randomCrop(height: Int, width: Int, padding: Int = 0)
  /// `RandomHorizontalFlip`: mirrored with this probability.
  case randomHorizontalFlip(probability: Double = 0.5)

  /// The picture transformed.
  /// - Parameter generator: what random transforms draw from, as torch's global generator.
  /// - Throws: `ModelError` for another type or shape, and a part that is larger than the picture.
  public func callAsFunction(_ picture: Tensor, drawing generator: inout TorchGenerator) throws -> Tensor {
    try picture.checkPicture()
    let (height, width) = (picture.shape[0], picture.shape[1])
    switch self {
    case .resize(let side, let filter):
      return try resizeAntialiased(picture, to: Self.size(height, width, shorterSide: side), filter: filter)
    case .resizeExactly(let height, let width, let filter):
      return try resizeAntialiased(picture, to: [height, width], filter: filter)
    case .centerCrop(let height, let width): return try picture.centered(height: height, width: width)
    case .randomResizedCrop(let newHeight, let newWidth, let scale, let ratio, let filter):
      let part = CropRectangle.resized(height: height, width: width, scale: scale, ratio: ratio, drawing: &generator)
      return try resizeAntialiased(picture.cropped(part), to: [newHeight, newWidth], filter: filter)
    case .randomCrop(let newHeight, let newWidth, let padding):
      let padded = try picture.padded(top: padding, left: padding, bottom: padding, right: padding)
      let part = try CropRectangle.random(
        height: padded.shape[0], width: padded.shape[1], to: [newHeight, newWidth], drawing: &generator)
      return try padded.cropped(part)
    case .randomHorizontalFlip(let probability):
      return generator.uniformFloat32() < Float(probability) ? try picture.mirrored() : picture
    }
  }

  /// The size that it gives every picture; nil where that depends on the picture.
  public var size: [Int]? {
    switch self {
    case .resize, .randomHorizontalFlip: nil
    case .resizeExactly(let height, let width, _), .centerCrop(let height, let width),
      .randomResizedCrop(let height, let width, _, _, _), .randomCrop(let height, let width, _):
      [height, width]
    }
  }

  /// - Throws: `ModelError` for sizes, ranges and probabilities that cannot be.
  func check() throws {
    let sides: [Int]
    switch self {
    case .resize(let side, _): sides = [side]
    case .randomCrop(let height, let width, let padding):
      guard (0...Self.sideLimit).contains(padding) else { throw ModelError(.invalid, "a padding cannot be \(padding)") }
      sides = [height, width]
    case .randomResizedCrop(let height, let width, let scale, let ratio, _):
      guard scale.lowerBound > 0, scale.upperBound.isFinite, ratio.lowerBound > 0, ratio.upperBound.isFinite else {
        throw ModelError(.invalid, "a part's area and aspect ratio are above 0, not \(scale) and \(ratio)")
      }
      sides = [height, width]
    case .randomHorizontalFlip(let probability):
      guard (0...1).contains(probability) else {
        throw ModelError(.invalid, "a probability is 0 to 1, not \(probability)")
      }
      sides = []
    default: sides = size ?? []
    }
    if let side = sides.first(where: { !(1...Self.sideLimit).contains($0) }) {
      throw ModelError(.invalid, "a side has 1 to \(Self.sideLimit) pixels, not \(side)")
    }
  }

  /// What `resizeAntialiased` takes.
  private static let sideLimit = 1 << 20

  private static func size(_ height: Int, _ width: Int, shorterSide: Int) throws -> [Int] {
    let (short, long) = (min(height, width), max(height, width))
    guard let longer = Int(exactly: (Double(shorterSide * long) / Double(short)).rounded(.down)), longer <= sideLimit
    else { throw ModelError(.limit, "a picture of \(height) x \(width) is too narrow to be resized") }
    return width <= height ? [longer, shorterSide] : [shorterSide, longer]
  }
}
