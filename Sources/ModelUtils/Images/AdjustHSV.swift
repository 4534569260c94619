import CKernels
import ModelCore

/// Factors for hue, saturation and value: YOLOv5's and YOLOv6's `augment_hsv`, of OpenCV's conversions of bytes.
///
/// Bytes are OpenCV 5's bit for bit where rows have a multiple of 32 pixels; the rest of a row it rounds otherwise, by 1.
public struct HSVGains: Sendable, Hashable {
  /// What each is multiplied by; a hue goes on from 180 at 0.
  public let hue: Double, saturation: Double, value: Double
  private let tables: [[UInt8]]

  /// Factors of 0 to a million.
  /// - Throws: `ModelError` for other numbers.
  public init(hue: Double, saturation: Double, value: Double) throws {
    guard [hue, saturation, value].allSatisfy({ (0...1e6).contains($0) }) else {
      throw ModelError(.invalid, "colours cannot be multiplied by \(hue), \(saturation) and \(value)")
    }
    (self.hue, self.saturation, self.value) = (hue, saturation, value)
    let levels = (0...255).map { Double($0) }
    tables = [
      levels.map { UInt8(($0 * hue).truncatingRemainder(dividingBy: 180)) },
      levels.map { UInt8(min($0 * saturation, 255)) }, levels.map { UInt8(min($0 * value, 255)) },
    ]
  }

  /// Changes red, green and blue bytes in place.
  /// - Parameter pixels: as many as are whole; up to two bytes behind them stay.
  public func apply(to pixels: UnsafeMutableBufferPointer<UInt8>) {
    tables[0].withUnsafeBufferPointer { hue in
      tables[1].withUnsafeBufferPointer { saturation in
        tables[2].withUnsafeBufferPointer { value in
          mk_adjust_hsv(
            pixels.baseAddress, pixels.count / 3, hue.baseAddress, saturation.baseAddress, value.baseAddress)
        }
      }
    }
  }

  /// A changed picture.
  /// - Parameter image: uint8 [height, width, 3], RGB.
  /// - Throws: `ModelError` for another shape or type.
  public func callAsFunction(_ image: Tensor) throws -> Tensor {
    try image.checkPixels()
    return try Tensor(.uint8, image.shape) { bytes in
      try image.withContiguousBytes { bytes.copyMemory(from: $0) }
      apply(to: bytes.bindMemory(to: UInt8.self))
    }
  }
}
