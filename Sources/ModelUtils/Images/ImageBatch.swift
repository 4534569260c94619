import CKernels
import ModelCore

/// Pictures as a model takes them, and where each stands in its place.
public struct ImageBatch: Sendable {
  /// float32 [pictures, 3, height, width] in [0, 1], RGB.
  public let tensor: Tensor
  /// For each picture how it was fitted; `boxesInOriginal` maps boxes back.
  public let letterboxes: [Letterbox]
}

/// Reads PNG and JPEG files and fits each into one size with its proportions kept, grey around it: what YOLOv5 does to
/// pictures before a model sees them, for several at once. Files are decoded in parallel.
/// - Parameters:
///   - size: [height, width] in pixels.
///   - scaleUp: whether a picture smaller than `size` is enlarged.
///   - color: the grey around the pictures, 0 to 255.
/// - Throws: `ModelError` that names the file, and for no files.
public func imageBatch(
  contentsOf locations: [some FileLocation], size: [Int] = [640, 640], scaleUp: Bool = true, color: UInt8 = 114
) throws -> ImageBatch {
  guard !locations.isEmpty else { throw ModelError(.invalid, "there are no pictures") }
  guard size.count == 2, size.allSatisfy({ (1...ScaledSize.sideLimit).contains($0) }) else {
    throw ModelError(.invalid, "a size is [height, width] of 1 to \(ScaledSize.sideLimit) pixels, not \(size)")
  }
  let shape = [locations.count, 3, size[0], size[1]]
  try checkMemory(.float32, shape)
  var jobs = locations.map { (location: $0, letterbox: Letterbox?.none) }
  try Parallel.update(&jobs) { job in
    let picture = try ImageFile(contentsOf: job.location)
    do {
      job.letterbox = try letterbox(picture.bytes(), to: size, auto: false, scaleUp: scaleUp, color: color)
    } catch let error as ModelError { throw error.inFile(try job.location.filePath.string) }
  }
  let letterboxes = jobs.compactMap(\.letterbox)
  let plane = size[0] * size[1]
  let tensor = try Tensor(.float32, shape) { bytes in
    let start = bytes.bindMemory(to: Float.self).baseAddress!
    for (index, letterbox) in letterboxes.enumerated() {
      try letterbox.image.withContiguousBytes { pixels in
        mk_planes_from_pixels(start + index * 3 * plane, plane, pixels.baseAddress, plane, false)
      }
    }
  }
  return ImageBatch(tensor: tensor, letterboxes: letterboxes)
}
