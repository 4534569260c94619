import ModelCore
import ModelRandom

/// A part of a picture.
public struct CropRectangle: Sendable, Hashable {
  /// The first row.
  public let top: Int
  /// The first column.
  public let left: Int
  /// How many rows.
  public let height: Int
  /// How many columns.
  public let width: Int

  /// A part, in pixels.
  public init(top: Int, left: Int, height: Int, width: Int) {
    (self.top, self.left, self.height, self.width) = (top, left, height, width)
  }

  /// How often a random area and ratio is tried.
  private static let attempts = 10

  /// torchvision's `RandomResizedCrop.get_params`, draw for draw: of ten random areas and aspect ratios the first that
  /// fits, at a random place; else the middle.
  public static func resized(
    height: Int, width: Int, scale: ClosedRange<Double>, ratio: ClosedRange<Double>,
    drawing generator: inout TorchGenerator
  ) -> CropRectangle {
    let area = Double(height * width)
    func logarithm(_ value: Double) -> Double { Double(Float(CMath.log(Double(Float(value))))) }
    let (lowest, highest) = (logarithm(ratio.lowerBound), logarithm(ratio.upperBound))
    for _ in 0..<attempts {
      let target = area * Double(generator.uniform(scale.lowerBound, scale.upperBound))
      let aspect = Double(Float(CMath.exp(Double(generator.uniform(lowest, highest)))))
      let w = (target * aspect).squareRoot().rounded(.toNearestOrEven)
      let h = (target / aspect).squareRoot().rounded(.toNearestOrEven)
      guard w > 0, w <= Double(width), h > 0, h <= Double(height) else { continue }
      let (rows, columns) = (Int(h), Int(w))
      let top = generator.integer(below: height - rows + 1)
      let left = generator.integer(below: width - columns + 1)
      return CropRectangle(top: top, left: left, height: rows, width: columns)
    }
    let present = Double(width) / Double(height)
    var (h, w) = (height, width)
    if present < ratio.lowerBound {
      h = min(height, Int((Double(width) / ratio.lowerBound).rounded(.toNearestOrEven)))
    } else if present > ratio.upperBound {
      w = min(width, Int((Double(height) * ratio.upperBound).rounded(.toNearestOrEven)))
    }
    return CropRectangle(top: (height - h) / 2, left: (width - w) / 2, height: h, width: w)
  }

  /// torchvision's `RandomCrop.get_params`, draw for draw; a picture of the size that is wanted draws nothing.
  /// - Throws: `ModelError` for a size larger than the picture.
  public static func random(
    height: Int, width: Int, to size: [Int], drawing generator: inout TorchGenerator
  ) throws -> CropRectangle {
    guard size.count == 2, size[0] <= height, size[1] <= width else {
      throw ModelError(.mismatch, "a part of \(size) is larger than the picture of [\(height), \(width)]")
    }
    if size == [height, width] { return CropRectangle(top: 0, left: 0, height: height, width: width) }
    let top = generator.integer(below: height - size[0] + 1)
    let left = generator.integer(below: width - size[1] + 1)
    return CropRectangle(top: top, left: left, height: size[0], width: size[1])
  }
}

extension TorchGenerator {
  /// `torch.empty(1).uniform_(from, to)`, which rounds once.
  fileprivate mutating func uniform(_ from: Double, _ to: Double) -> Float {
    let (low, high) = (Float(from), Float(to))
    return low.addingProduct(uniformFloat32(), high - low)
  }

  /// `torch.randint(0, count, size=(1,))` of a range below 2^28.
  fileprivate mutating func integer(below count: Int) -> Int { Int(next32()) % count }
}

extension Tensor {
  /// - Throws: `ModelError` for what is no picture of bytes with 1 or 3 channels.
  func checkPicture() throws {
    guard dtype == .uint8, shape.count == 3, [1, 3].contains(shape[2]), count > 0 else {
      throw ModelError(
        .mismatch, "a picture is uint8 [height, width, channels] with 1 or 3 channels, not \(dtype.rawValue) \(shape)")
    }
  }

  /// The part, as a view.
  func cropped(_ part: CropRectangle) throws -> Tensor {
    guard part.top >= 0, part.left >= 0, part.height > 0, part.width > 0, part.height <= shape[0] - part.top,
      part.width <= shape[1] - part.left
    else { throw ModelError(.mismatch, "\(part) lies beyond the picture of \(shape)") }
    return try Tensor(
      storage, dtype: .uint8, shape: [part.height, part.width, shape[2]], strides: strides,
      byteOffset: byteOffset + part.top * strides[0] + part.left * strides[1])
  }

  /// With black pixels around it.
  func padded(top: Int, left: Int, bottom: Int, right: Int) throws -> Tensor {
    if top == 0, left == 0, bottom == 0, right == 0 { return self }
    let size = [shape[0] + top + bottom, shape[1] + left + right, shape[2]]
    let row = shape[1] * shape[2]
    return try withContiguousBytes { source in
      try Tensor(.uint8, size) { bytes in
        bytes.initializeMemory(as: UInt8.self, repeating: 0)
        for line in 0..<shape[0] {
          let start = ((top + line) * size[1] + left) * size[2]
          UnsafeMutableRawBufferPointer(rebasing: bytes[start..<start + row])
            .copyMemory(from: UnsafeRawBufferPointer(rebasing: source[line * row..<(line + 1) * row]))
        }
      }
    }
  }

  /// The middle, torchvision's `center_crop`: of a picture that is too small with black around it.
  func centered(height: Int, width: Int) throws -> Tensor {
    let (more, wider) = (max(0, height - shape[0]), max(0, width - shape[1]))
    let picture = try padded(top: more / 2, left: wider / 2, bottom: (more + 1) / 2, right: (wider + 1) / 2)
    func start(_ length: Int, _ part: Int) -> Int { Int((Double(length - part) / 2).rounded(.toNearestOrEven)) }
    return try picture.cropped(
      CropRectangle(
        top: start(picture.shape[0], height), left: start(picture.shape[1], width), height: height, width: width))
  }

  /// Left and right exchanged.
  func mirrored() throws -> Tensor {
    let (height, width, channels) = (shape[0], shape[1], shape[2])
    return try withContiguousBytes { source in
      try Tensor(.uint8, shape) { bytes in
        for row in 0..<height {
          for column in 0..<width {
            let from = (row * width + column) * channels
            let to = (row * width + width - 1 - column) * channels
            for channel in 0..<channels { bytes[to + channel] = source[from + channel] }
          }
        }
      }
    }
  }

  /// Grey as three equal channels; or colours as the grey that Pillow's `convert("L")` makes.
  func withChannels(_ channels: Int) throws -> Tensor {
    guard shape[2] != channels else { return self }
    let pixels = shape[0] * shape[1]
    return try withContiguousBytes { source in
      try Tensor(.uint8, [shape[0], shape[1], channels]) { bytes in
        for pixel in 0..<pixels {
          if channels == 3 {
            for channel in 0..<3 { bytes[3 * pixel + channel] = source[pixel] }
          } else {
            let (r, g, b) = (Int(source[3 * pixel]), Int(source[3 * pixel + 1]), Int(source[3 * pixel + 2]))
            bytes[pixel] = UInt8((r * 19595 + g * 38470 + b * 7471 + 0x8000) >> 16)
          }
        }
      }
    }
  }
}
