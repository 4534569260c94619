import ModelCore
import ModelImages

/// A sample as it goes into a batch.
struct DetectionSample: Sendable {
  /// uint8 [height, width, 3], before flips.
  var pixels: Tensor
  var labels: [BoxLabel]
  var gains: HSVGains?
  var isFlippedUpDown = false
  var isFlippedLeftRight = false
  var placement: PicturePlacement?
}

/// Makes samples of a set's pictures: YOLOv6's `TrainValDataset`.
struct SampleMaker: Sendable {
  let set: DetectionSet
  /// Of square inputs, and the length of the longer side that pictures are resized to at first.
  let side: Int
  /// How pictures are resized; nil as for training, by their nearest pixels alone.
  let fit: PictureFit?
  let cache: PictureCache

  /// The picture with its longer side of `side` pixels, or stretched.
  private func picture(_ index: Int) throws -> Tensor {
    do {
      return try cache.picture(index) { index in
        let picture = try set.picture(index)
        let size = Array(picture.shape.prefix(2))
        let target = (fit ?? .yolov6).size(of: size, side: side)
        guard target != size else { return picture }
        let shrinks = side < max(size[0], size[1])
        return try resizePixels(
          picture, to: target, interpolation: shrinks && fit?.averages == true ? .area : .linear)
      }
    } catch let error as ModelError { throw error.inFile(set.samples[index].path.string) }
  }

  /// An augmented sample.
  func sample(_ draws: SampleDraws) throws -> DetectionSample {
    var picture: BoxedPicture
    switch draws.base {
    case .one(let index, let affine):
      let fitted = try fitted(index, to: [side, side], scaleUp: true)
      let boxes = boxes(index, fitted.letterbox, size: fitted.size, as: Float.self)
      picture = try BoxedPicture(pixels: fitted.letterbox.image, boxes: boxes).moved(affine, to: side)
    case .mosaic(let mosaic): picture = try self.mosaic(mosaic)
    }
    if let mixup = draws.mixup {
      picture = try picture.mixed(with: mosaic(mixup.mosaic), share: mixup.share)
    }
    let labels = picture.boxes.map { box in
      box.label(width: picture.width, height: picture.height)
        .flipped(upDown: draws.isFlippedUpDown, leftRight: draws.isFlippedLeftRight)
    }
    return DetectionSample(
      pixels: picture.pixels, labels: labels,
      gains: try draws.gains.map { try HSVGains(hue: $0[0], saturation: $0[1], value: $0[2]) },
      isFlippedUpDown: draws.isFlippedUpDown, isFlippedLeftRight: draws.isFlippedLeftRight)
  }

  /// A sample as it is judged, in the middle of an input of [height, width], not enlarged again.
  func sample(_ index: Int, size: [Int]) throws -> DetectionSample {
    let (letterbox, fitted) = try fitted(index, to: size, scaleUp: false)
    let original = set.samples[index].size
    let ratio = letterbox.ratio.height
    let labels = boxes(index, letterbox, size: fitted, as: Double.self).map {
      $0.label(width: size[1], height: size[0])
    }
    return DetectionSample(
      pixels: letterbox.image, labels: labels,
      placement: PicturePlacement(
        originalSize: original, ratio: zip(fitted, original).map { Double($0) * ratio / Double($1) },
        padding: [letterbox.padding.height, letterbox.padding.width]))
  }

  private func fitted(
    _ index: Int, to size: [Int], scaleUp: Bool
  ) throws -> (letterbox: Letterbox, size: [Int]) {
    let picture = try picture(index)
    do {
      return (
        try letterbox(picture, to: size, auto: false, scaleUp: scaleUp), Array(picture.shape.prefix(2))
      )
    } catch let error as ModelError { throw error.inFile(set.samples[index].path.string) }
  }

  private func boxes<Scalar: BinaryFloatingPoint>(
    _ index: Int, _ letterbox: Letterbox, size: [Int], as type: Scalar.Type
  ) -> [PixelBox] {
    let (height, width) = (Double(size[0]) * letterbox.ratio.height, Double(size[1]) * letterbox.ratio.width)
    return set.samples[index].labels.map { label in
      label.corners(
        width: Scalar(width), height: Scalar(height), left: Scalar(letterbox.padding.width),
        top: Scalar(letterbox.padding.height))
    }
  }

  private func mosaic(_ draws: MosaicDraws) throws -> BoxedPicture {
    let parts = try draws.indices.map { (pixels: try picture($0), labels: set.samples[$0].labels) }
    return try BoxedPicture.mosaic(parts, x: draws.centerX, y: draws.centerY, side: side)
      .moved(draws.affine, to: side)
  }
}
