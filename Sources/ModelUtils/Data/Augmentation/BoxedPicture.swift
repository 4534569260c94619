import CKernels
import ModelCore
import ModelImages

/// A picture, uint8 [height, width, 3], and the boxes in it.
struct BoxedPicture: Sendable {
  var pixels: Tensor
  var boxes: [PixelBox]

  var height: Int { pixels.shape[0] }
  var width: Int { pixels.shape[1] }

  /// Four pictures around a point of a canvas of twice the side: YOLOv5's and YOLOv6's mosaic. What is left of the canvas
  /// is grey; boxes are cut at its edges.
  static func mosaic(_ parts: [(pixels: Tensor, labels: [BoxLabel])], x: Int, y: Int, side: Int) throws -> BoxedPicture
  {
    let canvas = 2 * side
    var boxes: [PixelBox] = []
    let pixels = try Tensor(.uint8, [canvas, canvas, 3]) { bytes in
      bytes.initializeMemory(as: UInt8.self, repeating: 114)
      for (place, part) in parts.enumerated() {
        let (height, width) = (part.pixels.shape[0], part.pixels.shape[1])
        // The corner of the picture that lies on the point; its edges may lie beyond the canvas.
        let left = place % 2 == 0 ? x - width : x
        let top = place < 2 ? y - height : y
        let columns = max(left, 0)..<max(min(left + width, canvas), max(left, 0))
        try part.pixels.withContiguousBytes { source in
          for row in max(top, 0)..<max(min(top + height, canvas), max(top, 0)) {
            let from = ((row - top) * width + columns.lowerBound - left) * 3
            let to = (row * canvas + columns.lowerBound) * 3
            UnsafeMutableRawBufferPointer(rebasing: bytes[to..<to + columns.count * 3])
              .copyMemory(from: UnsafeRawBufferPointer(rebasing: source[from..<from + columns.count * 3]))
          }
        }
        for label in part.labels {
          let box = label.corners(width: Float(width), height: Float(height), left: Float(left), top: Float(top))
          boxes.append(box.clipped(width: Float(canvas), height: Float(canvas)))
        }
      }
    }
    return BoxedPicture(pixels: pixels, boxes: boxes)
  }

  /// The picture moved into a square; boxes become those around their moved corners. Boxes of which too little is left
  /// are dropped: 2 pixels or less of a side, a tenth or less of the area, or 20 times as long as wide.
  func moved(_ draws: AffineDraws, to side: Int) throws -> BoxedPicture {
    let map = draws.map(from: [height, width], to: side)
    let pixels = map == .identity ? pixels : try warpAffine(pixels, by: map, to: [side, side])
    let edge = Double(side)
    let boxes = boxes.compactMap { box -> PixelBox? in
      let (x1, y1, x2, y2) = (Double(box.x1), Double(box.y1), Double(box.x2), Double(box.y2))
      let corners = [map(x1, y1), map(x2, y2), map(x1, y2), map(x2, y1)]
      func bounded(_ values: [Double]) -> (Double, Double) {
        let (low, high) = (values.min() ?? 0, values.max() ?? 0)
        return (min(max(low, 0), edge), min(max(high, 0), edge))
      }
      let (left, right) = bounded(corners.map(\.x))
      let (top, bottom) = bounded(corners.map(\.y))
      let scale = Float(draws.scale)
      let area = (box.x2 * scale - box.x1 * scale) * (box.y2 * scale - box.y1 * scale) + 1e-16
      let (width, height) = (right - left, bottom - top)
      let ratio = max(width / (height + 1e-16), height / (width + 1e-16))
      guard width > 2, height > 2, width * height / Double(area) > 0.1, ratio < 20 else { return nil }
      return PixelBox(
        classIndex: box.classIndex, x1: Float(left), y1: Float(top), x2: Float(right), y2: Float(bottom))
    }
    return BoxedPicture(pixels: pixels, boxes: boxes)
  }

  /// This picture by a share and another of the same size by the rest, with the boxes of both: MixUp.
  func mixed(with other: BoxedPicture, share: Double) throws -> BoxedPicture {
    guard pixels.shape == other.pixels.shape else {
      throw ModelError(.mismatch, "pictures of \(pixels.shape) and \(other.pixels.shape) cannot be blended")
    }
    let mixed = try Tensor(.uint8, pixels.shape) { bytes in
      try pixels.withContiguousBytes { bytes.copyMemory(from: $0) }
      try other.pixels.withContiguousBytes { source in
        mk_mix_bytes(
          bytes.bindMemory(to: UInt8.self).baseAddress, source.bindMemory(to: UInt8.self).baseAddress, bytes.count,
          share)
      }
    }
    return BoxedPicture(pixels: mixed, boxes: boxes + other.boxes)
  }
}

extension PixelBox {
  func clipped(width: Float, height: Float) -> PixelBox {
    PixelBox(
      classIndex: classIndex, x1: min(max(x1, 0), width), y1: min(max(y1, 0), height), x2: min(max(x2, 0), width),
      y2: min(max(y2, 0), height))
  }
}

extension BoxLabel {
  /// In a picture that is turned over and mirrored.
  func flipped(upDown: Bool, leftRight: Bool) -> BoxLabel {
    BoxLabel(
      classIndex: classIndex, x: leftRight ? 1 - x : x, y: upDown ? 1 - y : y, width: width, height: height)
  }
}
