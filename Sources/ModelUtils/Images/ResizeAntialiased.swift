import CKernels
import ModelCore

/// How `resizeAntialiased` weighs neighbouring pixels.
public enum ResamplingFilter: String, Sendable, Codable, CaseIterable {
  /// A triangle, two pixels wide.
  case bilinear
  /// Keys' cubic with a = -0.5, four pixels wide.
  case bicubic

  /// Beyond this distance in pixels a neighbour has no weight.
  fileprivate var support: Double { self == .bilinear ? 1 : 2 }

  fileprivate func weight(at distance: Double) -> Double {
    let x = abs(distance)
    switch self {
    case .bilinear: return x < 1 ? 1 - x : 0
    case .bicubic:
      let a = -0.5
      if x < 1 { return ((a + 2) * x - (a + 3)) * x * x + 1 }
      return x < 2 ? (((x - 5) * x + 8) * x - 4) * a : 0
    }
  }
}

/// Resamples a picture so that making it smaller averages all pixels: Pillow's `Image.resize`, bit for bit, which is
/// also what torchvision's `Resize` does to pictures. First the columns, then the rows, each rounded to bytes. (Pillow 13
/// takes some pictures' rows first, which changes bytes by 1.)
/// - Parameters:
///   - image: uint8 [height, width, channels] with 1 or 3 channels, not empty.
///   - size: [height, width] in pixels.
/// - Throws: `ModelError` for another shape or type, and sizes beyond 1 to 2^20 pixels.
public func resizeAntialiased(_ image: Tensor, to size: [Int], filter: ResamplingFilter = .bilinear) throws -> Tensor {
  guard image.dtype == .uint8, image.shape.count == 3, [1, 3].contains(image.shape[2]), image.count > 0 else {
    throw ModelError(
      .mismatch, "a picture to resize is uint8 [height, width, 1 or 3], not \(image.dtype.rawValue) \(image.shape)")
  }
  guard size.count == 2, (size + image.shape.prefix(2)).allSatisfy({ (1...1 << 20).contains($0) }) else {
    throw ModelError(.invalid, "a size is [height, width] of 1 to \(1 << 20) pixels, not \(size)")
  }
  try checkMemory(.uint8, [image.shape[0], size[1], image.shape[2]])
  let across = try image.resampled(axis: 1, to: size[1], filter)
  try checkMemory(.uint8, size + [image.shape[2]])
  return try across.resampled(axis: 0, to: size[0], filter)
}

/// For each place of a resampled line its neighbours and their weights of 22 bits.
private struct ResamplingTaps: Sendable {
  static let bits = 22
  let first: [Int]
  let weights: [[Int32]]

  init(from length: Int, to count: Int, _ filter: ResamplingFilter) {
    let scale = Double(length) / Double(count)
    let stretch = max(scale, 1)
    let support = filter.support * stretch
    var (first, weights): ([Int], [[Int32]]) = ([], [])
    for place in 0..<count {
      let centre = (Double(place) + 0.5) * scale
      let low = max(0, Int(centre - support + 0.5))
      let high = min(length, Int(centre + support + 0.5))
      let raw = (low..<high).map { filter.weight(at: (Double($0) - centre + 0.5) / stretch) }
      let sum = raw.reduce(0, +)
      first.append(low)
      weights.append(
        raw.map { Int32(((sum == 0 ? $0 : $0 / sum) * Double(1 << Self.bits)).rounded(.toNearestOrAwayFromZero)) })
    }
    (self.first, self.weights) = (first, weights)
  }
}

extension Tensor {
  /// uint8 [height, width, channels] with another height (axis 0) or width (axis 1).
  fileprivate func resampled(axis: Int, to count: Int, _ filter: ResamplingFilter) throws -> Tensor {
    guard shape[axis] != count else { return self }
    let taps = ResamplingTaps(from: shape[axis], to: count, filter)
    let source = try ContiguousBytes(self)
    let channels = self.shape[2]
    let shape = axis == 0 ? [count, self.shape[1], channels] : [self.shape[0], count, channels]
    let rowBytes = (old: self.shape[1] * channels, new: shape[1] * channels)
    return try Tensor(.uint8, shape) { bytes in
      guard let start = bytes.baseAddress, let origin = source.bytes.baseAddress else { return }
      nonisolated(unsafe) let to = start.assumingMemoryBound(to: UInt8.self)
      nonisolated(unsafe) let from = origin.assumingMemoryBound(to: UInt8.self)
      Parallel.forEach(shape[0]) { row in
        let target = to + row * rowBytes.new
        if axis == 1 {
          let line = from + row * rowBytes.old
          for column in 0..<count {
            let (source, place) = (line + taps.first[column] * channels, target + column * channels)
            sum(taps, column, source, step: channels, place, elements: channels)
          }
        } else {
          sum(taps, row, from + taps.first[row] * rowBytes.old, step: rowBytes.old, target, elements: rowBytes.new)
        }
      }
    }
  }
}

/// Weighs neighbours that are `step` bytes apart, for each of some elements side by side.
private func sum(
  _ taps: ResamplingTaps, _ place: Int, _ source: UnsafePointer<UInt8>, step: Int,
  _ target: UnsafeMutablePointer<UInt8>, elements: Int
) {
  let half = Int32(1) << (ResamplingTaps.bits - 1)
  taps.weights[place].withUnsafeBufferPointer { weights in
    for element in 0..<elements {
      var total = half
      for index in weights.indices { total &+= Int32(source[index * step + element]) &* weights[index] }
      target[element] = UInt8(min(max(total >> ResamplingTaps.bits, 0), 255))
    }
  }
}
