import ModelCore
import ModelRandom

/// From a set's pictures to a network's inputs: transforms of bytes, then torchvision's `ToTensor` and `Normalize`.
public struct PicturePreprocessing: Sendable, Hashable {
  /// What is done to the bytes, in order.
  public let transforms: [PictureTransform]
  /// The channels of the inputs: pictures become RGB or grey before the transforms.
  public let channels: Int
  /// The mean of each channel, which is subtracted from values of 0 to 1.
  public let mean: [Float]
  /// What the difference is divided by.
  public let standardDeviation: [Float]

  /// torchvision's numbers for ImageNet.
  public static let imageNetMean: [Float] = [0.485, 0.456, 0.406]
  /// torchvision's numbers for ImageNet.
  public static let imageNetStandardDeviation: [Float] = [0.229, 0.224, 0.225]

  /// Transforms and numbers to normalize by; one number goes for all channels.
  /// - Throws: `ModelError` for transforms that cannot be, other than 1 or 3 channels, and numbers that are not one for
  ///   each channel or divide by 0.
  public init(
    _ transforms: [PictureTransform], channels: Int = 3, mean: [Float] = [0], standardDeviation: [Float] = [1]
  ) throws {
    for transform in transforms { try transform.check() }
    guard channels == 1 || channels == 3 else {
      throw ModelError(.invalid, "pictures have 1 or 3 channels, not \(channels)")
    }
    for numbers in [mean, standardDeviation] where numbers.count != 1 && numbers.count != channels {
      throw ModelError(.mismatch, "\(numbers.count) numbers cannot normalize \(channels) channels")
    }
    guard mean.allSatisfy(\.isFinite), standardDeviation.allSatisfy({ $0.isFinite && $0 != 0 }) else {
      throw ModelError(.invalid, "pictures cannot be normalized by \(mean) and \(standardDeviation)")
    }
    (self.transforms, self.channels) = (transforms, channels)
    self.mean = mean.count == channels ? mean : Array(repeating: mean[0], count: channels)
    self.standardDeviation =
      standardDeviation.count == channels ? standardDeviation : Array(repeating: standardDeviation[0], count: channels)
  }

  /// torchvision's recipe to train classifiers: a random part, half of them mirrored.
  public static func training(size: Int = 224) throws -> PicturePreprocessing {
    try PicturePreprocessing(
      [.randomResizedCrop(height: size, width: size), .randomHorizontalFlip()], mean: imageNetMean,
      standardDeviation: imageNetStandardDeviation)
  }

  /// torchvision's recipe to evaluate them: the middle of a picture whose shorter side was resized.
  public static func evaluation(size: Int = 224, resizedTo side: Int = 256) throws -> PicturePreprocessing {
    try PicturePreprocessing(
      [.resize(shorterSide: side), .centerCrop(height: size, width: size)], mean: imageNetMean,
      standardDeviation: imageNetStandardDeviation)
  }

  /// The transformed picture, uint8 [height, width, channels].
  /// - Throws: as the transforms.
  public func transformed(_ picture: Tensor, drawing generator: inout TorchGenerator) throws -> Tensor {
    try picture.checkPicture()
    var picture = try picture.withChannels(channels)
    for transform in transforms { picture = try transform(picture, drawing: &generator) }
    return picture
  }

  /// A network's input, float32 [channels, height, width].
  /// - Throws: as the transforms.
  public func callAsFunction(_ picture: Tensor, drawing generator: inout TorchGenerator) throws -> Tensor {
    let bytes = try transformed(picture, drawing: &generator)
    return try Tensor(.float32, [channels, bytes.shape[0], bytes.shape[1]]) {
      try normalize(bytes, into: $0.bindMemory(to: Float.self))
    }
  }

  /// Writes the planes of a picture of bytes, which fill the buffer: (value / 255 - mean) / standardDeviation, each step
  /// rounded as torch's.
  func normalize(_ picture: Tensor, into planes: UnsafeMutableBufferPointer<Float>) throws {
    let pixels = picture.shape[0] * picture.shape[1]
    guard picture.shape[2] == channels, planes.count == pixels * channels else {
      throw ModelError(.mismatch, "a picture of \(picture.shape) does not fill \(planes.count) numbers")
    }
    try picture.withContiguousBytes { source in
      for channel in 0..<channels {
        let values = (0...255).map { (Float($0) / 255 - mean[channel]) / standardDeviation[channel] }
        values.withUnsafeBufferPointer { values in
          let plane = UnsafeMutableBufferPointer(rebasing: planes[channel * pixels..<(channel + 1) * pixels])
          for pixel in 0..<pixels { plane[pixel] = values[Int(source[pixel * channels + channel])] }
        }
      }
    }
  }
}
