import ModelCore
import ModelData
import ModelDetection
import ModelEngine
import ModelGraph

/// Judges a detector on a set of pictures with boxes, by the rules of an original's own validation.
///
///     let set = try DetectionDescription(contentsOf: "data.yaml").set(.val)
///     let scores = try DetectorValidation(.yolov5).scores(of: module, on: set)
///     print(scores.averagePrecision50, scores.averagePrecision)
public struct DetectorValidation: Sendable, Hashable {
  /// By whose program.
  public var rules: Rules
  /// The length in pixels that the longer side of pictures gets.
  public var imageSize: Int
  /// Pictures at once.
  public var batchSize: Int
  /// The least score of what is found.
  public var confidence: Double
  /// How much boxes of one class may overlap, 0 to 1, where the model itself does not choose.
  public var overlap: Double
  /// The most that is found in a picture.
  public var limit: Int
  /// Whether the inputs of a batch are as narrow or low as its pictures allow; else they are squares.
  public var isRectangular: Bool
  /// What is added to each side of rectangular inputs before it is rounded up, in strides.
  public var padding: Double
  /// Whether a box may be of several classes, where there are several.
  public var givesAllClasses: Bool
  /// The least score of what counts in the confusion matrix.
  public var confusionConfidence: Double

  /// The original's own settings.
  public init(_ rules: Rules) {
    self.rules = rules
    imageSize = 640
    let isUltralytics = rules == .ultralytics || rules == .rtdetr
    batchSize = isUltralytics ? 16 : 32
    confidence = rules == .yolov6 ? 0.03 : 0.001
    switch rules {
    case .yolov5: overlap = 0.6
    case .yolov6, .yolov7: overlap = 0.65
    case .yolov9, .ultralytics, .rtdetr: overlap = 0.7
    }
    limit = 300
    isRectangular = rules != .rtdetr
    padding = 0.5
    givesAllClasses = true
    confusionConfidence = isUltralytics ? confidence : 0.25
  }

  /// Sees to it that the settings can be.
  /// - Throws: `ModelError` for those out of their ranges.
  public func check() throws {
    guard (8...1 << 14).contains(imageSize) else {
      throw ModelError(.invalid, "inputs have sides of 8 to \(1 << 14) pixels, not \(imageSize)")
    }
    guard (1...1 << 16).contains(batchSize) else {
      throw ModelError(.invalid, "a batch has 1 to \(1 << 16) pictures, not \(batchSize)")
    }
    guard (0...1).contains(confidence), (0...1).contains(overlap), (0...1).contains(confusionConfidence) else {
      throw ModelError(.invalid, "a confidence and an overlap are from 0 to 1")
    }
    guard (1...30000).contains(limit) else {
      throw ModelError(.invalid, "1 to 30000 things are found in a picture, not \(limit)")
    }
    guard (0...16).contains(padding) else {
      throw ModelError(.invalid, "inputs are padded by 0 to 16 strides, not \(padding)")
    }
  }

  /// Finds things in all pictures, in evaluation mode, and compares them with what is there.
  ///
  /// Batches run one after the other, each on all threads, while threads prepare the pictures of the next. The result is
  /// the same for every number of threads.
  /// - Parameters:
  ///   - module: a detector of upright boxes. Where it gives masks or keypoints, its boxes are judged.
  ///   - progress: is told how many pictures are done.
  /// - Throws: `ModelError` for settings out of range, a head that is not known, another number of classes than the
  ///   set's, pictures that cannot be read, and a network whose outputs are no numbers.
  public func scores(
    of module: Module, on set: DetectionSet, progress: (Int) -> Void = { _ in }
  ) throws -> DetectionScores {
    try check()
    let head = try DetectionHead(of: module)
    guard head.extra != .angle else {
      throw ModelError(.unsupported, "turned boxes are not judged, and a head \(head.className) gives them")
    }
    guard head.classes == set.classNames.count else {
      throw ModelError(
        .mismatch, "tells \(head.classes) classes apart, where the set has \(set.classNames.count)",
        advice: "judge it on the classes that it was trained for")
    }
    guard set.count > 0 else { throw ModelError(.missing, "has no pictures", file: set.name) }
    let batches = try batches(set, head)
    defer { batches.stop() }
    let module = try module.deployed()
    // Pictures come sorted by their proportions, so that a shape does not come back.
    let plans = PlanCache(
      capacity: 1, giving: { Array($0.outputs.prefix(head.output + 1)) },
      graph: { try module.evaluationGraph(for: $0) })
    var tally = DetectionTally(self, set, head)
    var done = 0
    while let batch = try batches.next() {
      let outputs = try plans.run([batch.tensor()])
      guard outputs.indices.contains(head.output) else {
        throw ModelError(.mismatch, "gives \(outputs.count) tensors, too few for its head \(head.className)")
      }
      try tally.add(outputs[head.output], of: batch)
      done += batch.indices.count
      progress(done)
    }
    return try tally.scores()
  }

  /// The length in pixels of pictures' longer side: `imageSize`, up to a multiple of the model's stride.
  /// - Throws: `ModelError` for a head that is not known.
  public func side(for module: Module) throws -> Int { side(try DetectionHead(of: module)) }

  private func side(_ head: DetectionHead) -> Int {
    let stride = rules.stride(of: head)
    // YOLOv6 takes the length as it is given and rounds the inputs alone.
    return rules == .yolov6 && isRectangular ? imageSize : (imageSize + stride - 1) / stride * stride
  }

  private func batches(_ set: DetectionSet, _ head: DetectionHead) throws -> EpochBatches<DetectionBatch> {
    let (stride, side) = (rules.stride(of: head), side(head))
    let loader = try DetectionLoader(
      set, imageSize: side, augmentation: nil, fit: rules.fit, prefetch: 1, cachedBytes: 0)
    guard isRectangular else {
      return try loader.batches(epoch: 0, SampleOrder.batches(Array(0..<set.count), size: batchSize))
    }
    return try loader.batches(
      RectangularBatches(
        set, batchSize: batchSize, imageSize: side, stride: stride, padding: padding,
        order: rules == .yolov6 ? .narrowFirst : .wideFirst))
  }
}
