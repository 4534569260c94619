import ModelCore
import ModelImages

/// How a picture becomes what a classifier takes, by the rules of the library that the model is from.
public struct ClassifierPreprocessing: Sendable, Hashable {
  /// How a picture is made smaller before it is cut.
  public enum Resizing: Sendable, Hashable {
    /// The shorter side to some pixels, antialiased, as Pillow does it; then the middle is cut out.
    case shorterSide(Int, ResamplingFilter)
    /// Both sides, antialiased, whatever that does to its proportions.
    case squash(ResamplingFilter)
    /// The largest square in the middle, then to the size as OpenCV does it.
    case middleSquare
  }

  /// What happens first.
  public var resizing: Resizing
  /// The [height, width] that the model takes.
  public var cropSize: [Int]
  /// Taken from each channel of values in [0, 1].
  public var mean: [Double]
  /// Each channel is divided by this then.
  public var standardDeviation: [Double]

  /// ImageNet's mean and standard deviation.
  public static let imageNet = (mean: [0.485, 0.456, 0.406], standardDeviation: [0.229, 0.224, 0.225])

  /// What is done to a picture.
  public init(
    resizing: Resizing, cropSize: [Int], mean: [Double] = imageNet.mean,
    standardDeviation: [Double] = imageNet.standardDeviation
  ) {
    (self.resizing, self.cropSize) = (resizing, cropSize)
    (self.mean, self.standardDeviation) = (mean, standardDeviation)
  }

  /// The same for another size of what the model takes; the size before the cut changes with it.
  public func resized(to size: [Int]) -> ClassifierPreprocessing {
    var other = self
    other.cropSize = size
    if case .shorterSide(let length, let filter) = resizing, let old = cropSize.min(), let new = size.min(), old > 0 {
      other.resizing = .shorterSide(Int((Double(length) * Double(new) / Double(old)).rounded()), filter)
    }
    return other
  }

  /// A picture as float32 [1, 3, height, width].
  /// - Throws: `ModelError` for sizes that are not 1 to 65536, and means that are not three.
  public func callAsFunction(_ picture: ImageFile) throws -> Tensor {
    guard cropSize.count == 2, cropSize.allSatisfy({ (1...1 << 16).contains($0) }), mean.count == 3,
      standardDeviation.count == 3, standardDeviation.allSatisfy({ $0 != 0 })
    else { throw ModelError(.invalid, "a picture cannot be made \(cropSize) with the mean \(mean)") }
    let pixels = try cropped(picture.bytes())
    let planes = try ImageFile(pixels: pixels).planes()
    let count = cropSize[0] * cropSize[1]
    var tensor = try Tensor(planes.storage, dtype: .float32, shape: [1, 3] + cropSize)
    try tensor.withMutableElements(of: Float.self) { values in
      for channel in 0..<3 {
        let (mean, deviation) = (Float(mean[channel]), Float(standardDeviation[channel]))
        for index in channel * count..<(channel + 1) * count { values[index] = (values[index] - mean) / deviation }
      }
    }
    return tensor
  }

  /// uint8 [height, width, 3] of the size that the model takes.
  private func cropped(_ pixels: Tensor) throws -> Tensor {
    switch resizing {
    case .squash(let filter): return try resizeAntialiased(pixels, to: cropSize, filter: filter)
    case .middleSquare:
      let side = pixels.shape[0...1].min() ?? 0
      let square = try middle(of: pixels, [side, side], rounding: .down)
      return try letterbox(square, to: cropSize, auto: false, scaleFill: true).image
    case .shorterSide(let length, let filter):
      let (height, width) = (pixels.shape[0], pixels.shape[1])
      let (short, long) = (min(height, width), max(height, width))
      guard (1...1 << 16).contains(length) else { throw ModelError(.invalid, "\(length) pixels are no side") }
      let other = length * long / short
      let size = height <= width ? [length, other] : [other, length]
      let resized = try resizeAntialiased(pixels, to: size, filter: filter)
      return try middle(of: resized, cropSize, rounding: .toNearestOrEven)
    }
  }

  /// The middle of a picture; black where it is too small, as torchvision's `CenterCrop`.
  private func middle(of pixels: Tensor, _ size: [Int], rounding: FloatingPointRoundingRule) throws -> Tensor {
    let shape = Array(pixels.shape.prefix(2))
    let source = try pixels.elements(of: UInt8.self)
    func start(_ axis: Int) -> Int {
      let gap = shape[axis] - size[axis]
      // Padding is one more at the end; a cut is rounded.
      return gap < 0 ? -((-gap) / 2) : Int((Double(gap) / 2).rounded(rounding))
    }
    let (top, left) = (start(0), start(1))
    return try Tensor(.uint8, size + [3]) { bytes in
      bytes.initializeMemory(as: UInt8.self, repeating: 0)
      let columns = max(0, -left)..<max(max(0, -left), min(size[1], shape[1] - left))
      for row in 0..<size[0] where (0..<shape[0]).contains(row + top) {
        let (from, to) = (((row + top) * shape[1] + left) * 3, row * size[1] * 3)
        for byte in columns.lowerBound * 3..<columns.upperBound * 3 { bytes[to + byte] = source[from + byte] }
      }
    }
  }
}
