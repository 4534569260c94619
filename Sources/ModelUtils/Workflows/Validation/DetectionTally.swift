import ModelCore
import ModelData
import ModelDetection

/// Gathers what is found in pictures and what is there.
struct DetectionTally {
  /// Of one picture.
  private struct Findings: Sendable {
    let position: Int
    let picture: Int
    /// Both as the rules compare them.
    var truths: [DetectionTruth] = []
    var compared: [DetectionPrediction] = []
    /// In the picture's pixels, as they are written down.
    var written: [DetectionPrediction] = []
  }

  private let validation: DetectorValidation
  private let set: DetectionSet
  private let head: DetectionHead
  private var truths: [DetectionTruth] = []
  private var compared: [DetectionPrediction] = []
  private var written: [DetectionPrediction] = []

  init(_ validation: DetectorValidation, _ set: DetectionSet, _ head: DetectionHead) {
    (self.validation, self.set, self.head) = (validation, set, head)
  }

  /// Adds what the head gives of a batch.
  /// - Throws: `ModelError` for outputs of another form, and for what is no number.
  mutating func add(_ predictions: Tensor, of batch: DetectionBatch) throws {
    guard predictions.shape.first == batch.indices.count else {
      throw ModelError(.mismatch, "gives \(predictions.shape) of \(batch.indices.count) pictures")
    }
    let (labels, placements) = (batch.labels, batch.placements)
    var all = batch.indices.enumerated().map { Findings(position: $0, picture: $1) }
    try Parallel.update(&all) { [self] findings in
      let position = findings.position
      guard let placement = placements[position] else { return }
      try checkNumbers(predictions, position, file: batch.files[position].string)
      let frame = ValidationFrame(
        rules: validation.rules, input: Array(batch.shape.suffix(2)), placement: placement)
      findings.truths = labels[position].indices.map { index in
        frame.truth(
          labels[position][index], original: set.samples[findings.picture].labels[index], picture: findings.picture)
      }
      try find(predictions, frame, &findings)
    }
    for findings in all {
      truths += findings.truths
      compared += findings.compared
      written += findings.written
    }
  }

  private func find(_ predictions: Tensor, _ frame: ValidationFrame, _ findings: inout Findings) throws {
    let options = Detector.Options(
      confidence: validation.confidence, overlap: validation.overlap, limit: validation.limit)
    var reader = PredictionReader(head: head, options: options, labels: validation.givesAllClasses ? .all : .best)
    try reader.read(predictions, picture: findings.position)
    for found in reader.chosen() {
      let box = head.family == .rtdetr ? frame.input(ofShares: found.box) : found.box
      let original = frame.original(box)
      let place = validation.rules.comparesInInputs ? box : original
      findings.compared.append(DetectionPrediction(picture: findings.picture, found, place))
      if let written = DetectionPrediction(written: findings.picture, found, original) {
        findings.written.append(written)
      }
    }
  }

  /// - Throws: `ModelError` where a picture's outputs are no numbers, of which a comparison would make nothing found.
  private func checkNumbers(_ predictions: Tensor, _ position: Int, file: String) throws {
    let size = predictions.shape.dropFirst().reduce(1, *)
    let isSound = try predictions.withElements(of: Float.self) { values in
      let own = values[position * size..<(position + 1) * size]
      var unlike = SIMD8<Int32>()
      var place = own.startIndex
      while place + 8 <= own.endIndex {
        var eight = SIMD8<Float>()
        for lane in 0..<8 { eight[lane] = own[place + lane] }
        unlike.replace(with: 1, where: eight .!= eight)
        place += 8
      }
      return unlike == SIMD8() && own[place...].allSatisfy { !$0.isNaN }
    }
    guard isSound else {
      throw ModelError(
        .invalid, "the network gives what is no number (NaN)", file: file,
        advice: "look at the weights with mutils info --detailed; training may have diverged")
    }
  }

  /// Of all pictures.
  func scores() throws -> DetectionScores {
    let classes = set.classNames.count
    let form = validation.rules.curves
    let evaluation = try COCOEvaluation(
      truths: set.truths, predictions: written, pictures: set.count, classes: classes)
    return DetectionScores(
      validation: validation, classNames: set.classNames, count: set.count, evaluation: evaluation,
      curves: try DetectionCurves(
        truths: truths, predictions: compared, pictures: set.count, classes: classes, form: form),
      confusion: classes > DetectionConfusion.classLimit
        ? nil
        : try DetectionConfusion(
          truths: truths, predictions: compared, pictures: set.count, classes: classes,
          confidence: validation.confusionConfidence, form: form),
      pictures: set.samples.reduce(into: [Int](repeating: 0, count: classes)) { counts, sample in
        for index in Set(sample.labels.map(\.classIndex)) { counts[index] += 1 }
      },
      predictions: written)
  }
}

/// Where boxes of an input stand in its picture, by an original's arithmetic.
struct ValidationFrame {
  let rules: DetectorValidation.Rules
  /// [height, width].
  let input: [Int]
  let placement: PicturePlacement

  /// The whole pixels of grey before the picture, as Ultralytics counts.
  private var offset: (x: Float, y: Float) {
    func whole(_ padding: Double) -> Float { Float((padding - 0.1).rounded(.toNearestOrEven)) }
    return (whole(placement.padding[1]), whole(placement.padding[0]))
  }

  /// A box whose corners are shares of the input's sides.
  func input(ofShares box: Box) -> Box {
    let (width, height) = (Float(input[1]), Float(input[0]))
    return Box(box.x1 * width, box.y1 * height, box.x2 * width, box.y2 * height)
  }

  /// A box in the picture, cut at its edges.
  func original(_ box: Box) -> Box {
    let isUltralytics = rules.comparesInInputs
    let gains = isUltralytics ? placement.ratio : [placement.ratio[0], placement.ratio[0]]
    let before: (x: Float, y: Float) =
      isUltralytics ? offset : (Float(placement.padding[1]), Float(placement.padding[0]))
    let (width, height) = (Float(placement.originalSize[1]), Float(placement.originalSize[0]))
    func clipped(_ value: Float, _ padding: Float, _ gain: Double, _ limit: Float) -> Float {
      min(max((value - padding) / Float(gain), 0), limit)
    }
    return Box(
      clipped(box.x1, before.x, gains[1], width), clipped(box.y1, before.y, gains[0], height),
      clipped(box.x2, before.x, gains[1], width), clipped(box.y2, before.y, gains[0], height))
  }

  /// What is there, as the rules compare it.
  /// - Parameters:
  ///   - label: as shares of the input.
  ///   - original: as shares of the picture.
  func truth(_ label: BoxLabel, original: BoxLabel, picture: Int) -> DetectionTruth {
    let box: Box
    if rules.comparesInInputs {
      let width = Float(placement.ratio[1] * Double(placement.originalSize[1]))
      let height = Float(placement.ratio[0] * Double(placement.originalSize[0]))
      box = Box(
        (original.x - original.width / 2) * width + offset.x, (original.y - original.height / 2) * height + offset.y,
        (original.x + original.width / 2) * width + offset.x, (original.y + original.height / 2) * height + offset.y)
    } else {
      let (width, height) = (Float(input[1]), Float(input[0]))
      let (x, y, w, h) = (label.x * width, label.y * height, label.width * width, label.height * height)
      box = self.original(Box(x - w / 2, y - h / 2, x + w / 2, y + h / 2))
    }
    let (x1, y1, x2, y2) = (Double(box.x1), Double(box.y1), Double(box.x2), Double(box.y2))
    return DetectionTruth(
      picture: picture, classIndex: label.classIndex, x: x1, y: y1, width: max(0, x2 - x1), height: max(0, y2 - y1))
  }
}

extension DetectionPrediction {
  /// What was found, at a place. A box of negative sides has none.
  fileprivate init(picture: Int, _ found: PredictionReader.Found, _ box: Box) {
    let (x, y) = (Double(box.x1), Double(box.y1))
    self.init(
      picture: picture, classIndex: found.classIndex, x: x, y: y, width: max(0, Double(box.x2) - x),
      height: max(0, Double(box.y2) - y), score: Double(found.score))
  }

  /// As the originals write it down: boxes with three decimals, scores with five. A box that is turned over, as networks
  /// without training give them, has a negative area, which pycocotools neither takes for right nor for wrong.
  fileprivate init?(written picture: Int, _ found: PredictionReader.Found, _ box: Box) {
    // Products of a float32 and these are exact in doubles, so that halves go to the even neighbour as in Python.
    func rounded(_ value: Float, _ scale: Double) -> Double {
      (Double(value) * scale).rounded(.toNearestOrEven) / scale
    }
    let (width, height) = (box.x2 - box.x1, box.y2 - box.y1)
    let (left, top) = ((box.x1 + box.x2) / 2 - width / 2, (box.y1 + box.y2) / 2 - height / 2)
    let sides = (width: rounded(width, 1000), height: rounded(height, 1000))
    guard sides.width * sides.height >= 0 else { return nil }
    self.init(
      picture: picture, classIndex: found.classIndex, x: rounded(left, 1000), y: rounded(top, 1000),
      width: max(0, sides.width), height: max(0, sides.height), score: rounded(found.score, 100_000))
  }
}

extension DetectionSet {
  /// The objects of all pictures in pixels, as COCO writes them.
  public var truths: [DetectionTruth] {
    samples.enumerated().flatMap { index, sample in
      sample.labels.map { label in
        let (width, height) = (Double(sample.size[1]), Double(sample.size[0]))
        let (x, y, w, h) = (Double(label.x), Double(label.y), Double(label.width), Double(label.height))
        let (left, top) = ((x - w / 2) * width, (y - h / 2) * height)
        return DetectionTruth(
          picture: index, classIndex: label.classIndex, x: left, y: top,
          width: max(0, (x + w / 2) * width - left), height: max(0, (y + h / 2) * height - top))
      }
    }
  }
}
