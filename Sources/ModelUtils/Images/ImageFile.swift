import CCodecs
import CKernels
import CResources
import ModelCore
import SystemPackage

/// A picture as a PNG or JPEG file holds it, as RGB.
///
/// Read are all of PNG's colour types and depths, interlaced or not, and JPEG in grey, YCbCr, RGB, CMYK and YCCK,
/// baseline and progressive. Grey becomes three equal channels. CMYK is taken as Adobe stores it, inverted, and becomes
/// RGB without a colour profile, as in Pillow. A picture is turned upright as its EXIF orientation says. Transparent
/// pixels are composited over black: each channel is multiplied by alpha and rounded to nearest (Pillow's
/// `convert("RGB")` and OpenCV drop alpha instead). Gamma and colour profiles are not applied. A damaged file is
/// refused, also where other programs would show the part that is whole.
public struct ImageFile: Sendable {
  /// The formats that are read and written.
  public enum Format: String, Sendable, Codable, CaseIterable {
    /// Without loss, 8 or 16 bits a channel (`png`), or with loss, 8 bits (`jpeg`).
    case png, jpeg

    /// The format that a file's extension stands for: png, jpg, jpeg.
    public init?(of location: some FileLocation) {
      switch (try? location.filePath)?.extension?.lowercased() {
      case "png": self = .png
      case "jpg", "jpeg": self = .jpeg
      default: return nil
      }
    }
  }

  /// What the file was; nil for a picture made of a tensor.
  public let format: Format?
  /// [height, width, 3]: uint8, or uint16 from a PNG of 16 bits.
  public let pixels: Tensor

  /// In pixels, upright.
  public var height: Int { pixels.shape[0] }
  /// In pixels, upright.
  public var width: Int { pixels.shape[1] }
  /// 8 or 16 bits a channel.
  public var bitDepth: Int { pixels.dtype.bitWidth }

  /// The most pixels that a file may have unless a caller says otherwise.
  public static let defaultPixelLimit = 100_000_000

  /// Decodes a file; its content decides the format.
  /// - Throws: `ModelError` when the file cannot be read, is no PNG or JPEG, is damaged or has more than `pixelLimit`
  ///   pixels.
  public init(contentsOf location: some FileLocation, pixelLimit: Int = defaultPixelLimit) throws {
    try self.init(FileBytes(mapping: location), pixelLimit: pixelLimit)
  }

  /// Decodes a file's bytes.
  /// - Throws: as `init(contentsOf:)`.
  public init(_ file: FileBytes, pixelLimit: Int = defaultPixelLimit) throws {
    guard let format = Format(startOf: file.bytes) else {
      throw ModelError(.unsupported, "is neither a PNG nor a JPEG picture", file: file.name)
    }
    var picture = mc_picture()
    var error = mc_error()
    let data = file.bytes.bindMemory(to: UInt8.self).baseAddress
    let limit = max(0, pixelLimit)
    let isRead =
      switch format {
      case .png: mc_read_png(data, file.count, limit, &picture, &error)
      case .jpeg: mc_read_jpeg(data, file.count, limit, &picture, &error)
      }
    guard isRead, let decoded = picture.pixels else { throw ModelError(.malformed, error.text, file: file.name) }
    defer { mc_free(decoded) }
    self.format = format
    pixels = try Tensor(picture.is_wide ? .uint16 : .uint8, [picture.height, picture.width, 3]) {
      $0.copyMemory(from: UnsafeRawBufferPointer(start: decoded, count: $0.count))
    }
  }

  /// The small picture that is compiled into the library.
  public static func embeddedSample() throws -> ImageFile {
    let bytes = UnsafeRawBufferPointer(start: mu_sample_picture(), count: mu_sample_picture_size())
    return try ImageFile(FileBytes(name: "sample.jpg", permanent: bytes))
  }

  /// A picture of pixels.
  /// - Parameter pixels: [height, width, 3] of uint8 or uint16, not empty.
  public init(pixels: Tensor) throws {
    guard pixels.shape.count == 3, pixels.shape[2] == 3, pixels.count > 0, [.uint8, .uint16].contains(pixels.dtype)
    else {
      throw ModelError(
        .mismatch,
        "pixels are uint8 or uint16 of shape [height, width, 3], not \(pixels.dtype.rawValue) \(pixels.shape)")
    }
    format = nil
    self.pixels = pixels
  }

  /// A picture of planes: each value is clamped to [0, 1] and rounded to the nearest of 2^bitDepth - 1 steps, halves to
  /// even.
  /// - Parameters:
  ///   - planes: [3, height, width] or [1, 3, height, width] of a floating type.
  ///   - bitDepth: 8 or 16.
  public init(planes: Tensor, bitDepth: Int = 8) throws {
    let shape = planes.shape.count == 4 && planes.shape[0] == 1 ? Array(planes.shape.dropFirst()) : planes.shape
    guard shape.count == 3, shape[0] == 3, planes.count > 0, [8, 16].contains(bitDepth) else {
      throw ModelError(
        .mismatch, "a picture of 8 or 16 bits is made of the shape [3, height, width], not \(planes.shape)")
    }
    let count = shape[1] * shape[2]
    let isWide = bitDepth == 16
    let floats = try ContiguousBytes(planes.converted(to: .float32))
    format = nil
    pixels = try Tensor(isWide ? .uint16 : .uint8, [shape[1], shape[2], 3]) { bytes in
      mk_pixels_from_planes(
        bytes.baseAddress, floats.bytes.bindMemory(to: Float.self).baseAddress, count, count, isWide)
    }
  }

  /// [3, height, width] of float32 in [0, 1].
  public func planes() throws -> Tensor {
    let count = height * width
    return try pixels.withContiguousBytes { source in
      try Tensor(.float32, [3, height, width]) { bytes in
        mk_planes_from_pixels(
          bytes.bindMemory(to: Float.self).baseAddress, count, source.baseAddress, count, bitDepth == 16)
      }
    }
  }

  /// [height, width, 3] of uint8; 16 bits are rounded to nearest.
  public func bytes() throws -> Tensor {
    guard bitDepth == 16 else { return pixels }
    return try pixels.withContiguousBytes { source in
      try Tensor(.uint8, pixels.shape) { bytes in
        for index in 0..<bytes.count {
          let value = source.loadUnaligned(fromByteOffset: 2 * index, as: UInt16.self)
          bytes[index] = UInt8((UInt32(value) + 128) / 257)
        }
      }
    }
  }

  /// The file's bytes.
  /// - Parameters:
  ///   - quality: of JPEG, libjpeg's 1 to 100; the colours have half the resolution, as libjpeg's default is.
  ///   - compression: of PNG, zlib's level 0 to 9; 6 takes three times as long as 3 for a few per cent of the size.
  /// - Throws: `ModelError` when the format cannot hold the picture. 16 bits become 8 in JPEG.
  public func encoded(as format: Format, quality: Int = 90, compression: Int = 3) throws -> [UInt8] {
    try withEncoded(as: format, quality: quality, compression: compression) { [UInt8]($0) }
  }

  /// Writes a file, whole or not at all; the extension decides the format.
  /// - Throws: `ModelError` when the extension is neither png, jpg nor jpeg, or the file cannot be written.
  public func write(to location: some FileLocation, quality: Int = 90, compression: Int = 3) throws {
    let path = try location.filePath
    guard let format = Format(of: path) else {
      throw ModelError(
        .unsupported, "has no extension of a picture", file: path.string, advice: "name it .png, .jpg or .jpeg")
    }
    do {
      try withEncoded(as: format, quality: quality, compression: compression) { bytes in
        let file = try AtomicFile(replacing: path)
        try file.write(bytes)
        try file.commit()
      }
    } catch let error as ModelError {
      throw error.inFile(path.string)
    }
  }

  private func withEncoded<R>(
    as format: Format, quality: Int, compression: Int, _ body: (UnsafeRawBufferPointer) throws -> R
  ) throws -> R {
    guard (1...100).contains(quality) else {
      throw ModelError(.invalid, "\(quality) is no quality: it must be 1 to 100")
    }
    guard (0...9).contains(compression) else {
      throw ModelError(.invalid, "\(compression) is no level: it must be 0 to 9")
    }
    let pixels = format == .jpeg ? try bytes() : pixels
    var result = mc_bytes()
    var error = mc_error()
    let isWritten = try pixels.withContiguousBytes { source in
      var picture = mc_picture(
        width: width, height: height, is_wide: pixels.dtype == .uint16,
        pixels: UnsafeMutableRawPointer(mutating: source.baseAddress))
      return switch format {
      case .png: mc_write_png(&picture, Int32(compression), &result, &error)
      case .jpeg: mc_write_jpeg(&picture, Int32(quality), &result, &error)
      }
    }
    guard isWritten else { throw ModelError(.malformed, error.text) }
    defer { mc_free(result.data) }
    return try body(UnsafeRawBufferPointer(start: result.data, count: result.size))
  }
}

extension ImageFile.Format {
  /// The format whose signature stands at a file's start.
  package init?(startOf bytes: UnsafeRawBufferPointer) {
    if bytes.starts(with: [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]) {
      self = .png
    } else if bytes.starts(with: [0xff, 0xd8, 0xff]) {
      self = .jpeg
    } else {
      return nil
    }
  }
}

extension mc_error {
  fileprivate var text: String {
    withUnsafeBytes(of: message) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
  }
}
