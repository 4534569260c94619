import ModelCore

/// Where a picture lies in a model's input that it was fitted into.
struct PictureFrame: Sendable {
  /// The input's [height, width].
  let input: [Int]
  /// The picture's own [height, width].
  let picture: [Int]
  /// The scale by which it was made fit, and the grey before it, both as ratios: YOLOv5's way back.
  let gain: Double
  let padding: (x: Double, y: Double)
  /// The scales of its sides after rounding to whole pixels, and the whole pixels before it: Ultralytics' way back.
  let gains: (x: Double, y: Double)
  let offset: (x: Int, y: Int)

  init(input: [Int], picture: [Int]) {
    (self.input, self.picture) = (input, picture)
    let (height, width) = (Double(picture[0]), Double(picture[1]))
    let gain = min(Double(input[0]) / height, Double(input[1]) / width)
    self.gain = gain
    padding = ((Double(input[1]) - width * gain) / 2, (Double(input[0]) - height * gain) / 2)
    let inner = [height, width].map { max(1, ($0 * gain).rounded(.toNearestOrEven)) }
    gains = (inner[1] / width, inner[0] / height)
    offset = (
      Int(((Double(input[1]) - inner[1]) / 2 - 0.1).rounded(.toNearestOrEven)),
      Int(((Double(input[0]) - inner[0]) / 2 - 0.1).rounded(.toNearestOrEven))
    )
  }

  private func clipped(_ value: Float, _ limit: Int) -> Float { min(max(value, 0), Float(limit)) }

  /// A box in the input as one in the picture, cut at its edges.
  func place(_ box: Box, by family: DetectionHead.Family) -> Box {
    if family == .rtdetr {
      // Shares of the picture's sides.
      let (width, height) = (Float(picture[1]), Float(picture[0]))
      return Box(box.x1 * width, box.y1 * height, box.x2 * width, box.y2 * height)
    }
    let isExact = family != .ultralytics
    let (padX, padY) = isExact ? (Float(padding.x), Float(padding.y)) : (Float(offset.x), Float(offset.y))
    let (gainX, gainY) = isExact ? (Float(gain), Float(gain)) : (Float(gains.x), Float(gains.y))
    return Box(
      clipped((box.x1 - padX) / gainX, picture[1]), clipped((box.y1 - padY) / gainY, picture[0]),
      clipped((box.x2 - padX) / gainX, picture[1]), clipped((box.y2 - padY) / gainY, picture[0]))
  }

  /// The same for a turned box, which is not cut.
  func place(_ box: RotatedBox) -> RotatedBox {
    RotatedBox(
      x: (box.x - Float(offset.x)) / Float(gains.x), y: (box.y - Float(offset.y)) / Float(gains.y),
      width: box.width / Float(gains.x), height: box.height / Float(gains.y), angle: box.angle)
  }

  /// The same for a point.
  func place(x: Float, y: Float) -> (x: Float, y: Float) {
    (
      clipped((x - Float(offset.x)) / Float(gains.x), picture[1]),
      clipped((y - Float(offset.y)) / Float(gains.y), picture[0])
    )
  }
}

extension Detector {
  /// What was found in a model's input, in the picture.
  func placed(
    _ found: [PredictionReader.Found], _ frame: PictureFrame, _ prototypes: Tensor?
  ) throws -> [Detection] {
    var painter: MaskPainter?
    if let prototypes { painter = try MaskPainter(prototypes, frame, cropsFirst: head.family != .ultralytics) }
    return found.compactMap { found in
      var detection = Detection(
        classIndex: found.classIndex, className: classNames[found.classIndex], score: found.score,
        box: frame.place(found.box, by: head.family))
      if let painter {
        guard let mask = painter.mask(found.extra, in: found.box) else { return nil }
        detection.mask = mask
      }
      if case .keypoints(let count, let values) = head.extra {
        detection.keypoints = (0..<count).map { index in
          let start = index * values
          let place = frame.place(x: found.extra[start], y: found.extra[start + 1])
          return Keypoint(x: place.x, y: place.y, confidence: values == 3 ? found.extra[start + 2] : nil)
        }
      }
      if let rotated = found.rotated {
        let corners = frame.place(rotated).corners
        detection.corners = corners
        let (x, y) = (corners.map(\.x), corners.map(\.y))
        detection.box = Box(x.min() ?? 0, y.min() ?? 0, x.max() ?? 0, y.max() ?? 0)
      }
      return detection
    }
  }
}
