import ModelArchitectures
import ModelCheckpoints
import ModelCore
import ModelEngine
import ModelGraph
import ModelImages
import ModelSurgery

/// Finds things in pictures with a YOLO or RT-DETR, by the rules of the program that the model is from: YOLOv5, v6, v7,
/// v9's repository, or Ultralytics (v3 to v12, v26, v9, v10, RT-DETR; boxes, masks, poses, turned boxes).
///
///     let detector = try Detector(contentsOf: "yolov5s.pt")
///     for found in try detector.detect(in: ImageFile(contentsOf: "bus.jpg")) {
///       print(found.className, found.score, found.box)
///     }
///
/// Several threads may use one at once. Plans are kept for the shapes that pictures take, a few at a time.
public struct Detector: Sendable {
  /// What the model calls its classes.
  public let classNames: ClassNames
  /// How many classes it tells apart.
  public var classCount: Int { head.classes }
  let head: DetectionHead
  /// Of what was exported to ONNX; nil for a module.
  private let export: Export?
  private let plans: PlanCache

  struct Export: Sendable {
    /// [height, width] where the model takes no others.
    let inputSize: [Int]?
  }

  /// The only [height, width] in pixels that the model takes; nil where it takes others, too.
  public var inputSize: [Int]? { export?.inputSize }

  /// The [height, width] in pixels of what the model sees for a size that is asked for: multiples of its stride, or
  /// `inputSize`.
  public func inputSize(for size: [Int]) -> [Int] {
    inputSize ?? size.map { ($0 + head.stride - 1) / head.stride * head.stride }
  }

  /// What is looked for, and how.
  public struct Options: Sendable {
    /// The [height, width] in pixels that a picture is scaled to fit into, rounded up to multiples of the stride.
    public var imageSize: [Int]
    /// The least score of what is found.
    public var confidence: Double
    /// How much boxes of one class may overlap, 0 to 1, where the model itself does not choose. YOLOv5's default;
    /// Ultralytics' is 0.7.
    public var overlap: Double
    /// Only these classes; all where it is nil.
    public var classes: Set<Int>?
    /// The most that is found in a picture; nil for the original's own, 1000 or 300.
    public var limit: Int?
    /// Whether three views of the picture are looked at: YOLOv5's test-time augmentation.
    public var augments: Bool

    /// What is looked for, and how.
    public init(
      imageSize: [Int] = [640, 640], confidence: Double = 0.25, overlap: Double = 0.45, classes: Set<Int>? = nil,
      limit: Int? = nil, augments: Bool = false
    ) {
      (self.imageSize, self.confidence, self.overlap) = (imageSize, confidence, overlap)
      (self.classes, self.limit, self.augments) = (classes, limit, augments)
    }
  }

  /// A detector of a checkpoint that holds a whole module, or a state dict of a built-in architecture, or of an exported
  /// ONNX model.
  /// - Throws: `ModelError` where the file cannot be read or holds no detector that is known.
  public init(contentsOf location: some FileLocation, key: String? = nil) throws {
    let checkpoint = try Checkpoint(contentsOf: location, key: key)
    if let model = checkpoint.onnx {
      try self.init(model)
      return
    }
    do { try self.init(checkpoint.computableModule()) } catch let error as ModelError {
      throw error.inFile(checkpoint.name)
    }
  }

  /// A detector of a module.
  /// - Parameter classNames: those that stand in the module where it is nil.
  /// - Throws: `ModelError` where its head is none that is known.
  public init(_ module: Module, classNames: ClassNames? = nil) throws {
    let head = try DetectionHead(of: module)
    let wanted = head.extra.count > 1 ? max(2, head.output + 1) : head.output + 1
    let module = try module.deployed()
    let plans = PlanCache(
      capacity: 6, giving: { Array($0.outputs.prefix(wanted)) }, graph: { try module.evaluationGraph(for: $0) })
    self.init(head: head, classNames: classNames ?? ClassNames(of: module), export: nil, plans: plans)
  }

  init(head: DetectionHead, classNames: ClassNames, export: Export?, plans: PlanCache) {
    (self.head, self.classNames, self.export, self.plans) = (head, classNames, export, plans)
  }

  /// What is in a picture, the surest first.
  /// - Throws: `ModelError` for options out of range, a picture that is too thin for the size, and a model that cannot
  ///   be run.
  public func detect(in picture: ImageFile, _ options: Options = Options()) throws -> [Detection] {
    try detect(in: prepare(picture, options), options)
  }

  /// A picture as the model takes it.
  public struct Input: Sendable {
    /// float32 [1, 3, height, width] in [0, 1].
    public let tensor: Tensor
    /// The picture's own [height, width].
    public let originalSize: [Int]
  }

  /// Makes a picture what the model takes: the first half of `detect(in:)`, which may run beside the second half of
  /// another picture.
  /// - Throws: as `detect(in:)`.
  public func prepare(_ picture: ImageFile, _ options: Options = Options()) throws -> Input {
    try check(options)
    let size = inputSize(for: options.imageSize)
    // YOLOv5 fills up the whole size for what it has exported, Ultralytics only where there is one size.
    let isFull = head.family == .rtdetr || export != nil && (inputSize != nil || head.family != .ultralytics)
    let fitted = try letterbox(
      picture.bytes(), to: size, stride: head.stride, auto: !isFull, scaleFill: head.family == .rtdetr)
    let planes = try ImageFile(pixels: fitted.image).planes()
    return Input(
      tensor: try Tensor(planes.storage, dtype: .float32, shape: [1] + planes.shape),
      originalSize: [picture.height, picture.width])
  }

  /// What is in a picture that was prepared with the same options.
  /// - Throws: as `detect(in:)`.
  public func detect(in input: Input, _ options: Options = Options()) throws -> [Detection] {
    try check(options)
    var reader = PredictionReader(head: head, options: options)
    var prototypes: Tensor?
    if options.augments {
      try readViews(input, &reader)
    } else {
      let outputs = try run(input.tensor)
      try reader.read(outputs[head.output])
      if case .masks = head.extra, outputs.count > 1 { prototypes = outputs[1] }
    }
    let found = reader.chosen()
    let frame = PictureFrame(input: Array(input.tensor.shape.suffix(2)), picture: input.originalSize)
    return try placed(found, frame, prototypes)
  }

  private func run(_ tensor: Tensor) throws -> [Tensor] {
    let outputs = try plans.run([tensor])
    guard outputs.indices.contains(head.output) else {
      throw ModelError(.mismatch, "gives \(outputs.count) tensors, too few for its head \(head.className)")
    }
    return outputs
  }

  private func readViews(_ input: Input, _ reader: inout PredictionReader) throws {
    let views = try forwardAugmentViews(input.tensor, stride: head.largestStride)
    for (index, view) in views.enumerated() {
      let predictions = try run(view.image)[head.output]
      let count = head.hasConfidence ? predictions.shape[1] : predictions.shape[2]
      var positions = 0..<count
      if head.augmentation.clips, index == 0 { positions = 0..<count - count / cells }
      if head.augmentation.clips, index == views.count - 1 {
        positions = min(count, (count / cells) << (2 * (head.strides.count - 1)))..<count
      }
      try reader.read(predictions, positions: positions, of: view)
    }
  }

  /// How many positions of all levels lie under one of the coarsest.
  private var cells: Int { (0..<min(head.strides.count, 16)).reduce(0) { $0 + 1 << (2 * $1) } }

  /// Sees to it that what is looked for, and how, goes with the model.
  /// - Throws: `ModelError` for options out of range, classes that the model does not have, and augmentation that its
  ///   original does not define.
  public func check(_ options: Options) throws {
    guard options.imageSize.count == 2, options.imageSize.allSatisfy({ (1...1 << 16).contains($0) }) else {
      throw ModelError(.invalid, "a size is [height, width] of 1 to \(1 << 16) pixels, not \(options.imageSize)")
    }
    guard (0...1).contains(options.confidence), (0...1).contains(options.overlap) else {
      throw ModelError(.invalid, "a confidence and an overlap are from 0 to 1")
    }
    if let inputSize, options.imageSize != inputSize {
      throw ModelError(
        .invalid, "takes pictures of \(inputSize[0])x\(inputSize[1]) alone", advice: "leave out another size")
    }
    if options.augments, !head.augmentation.isKnown || export != nil {
      throw ModelError(
        .unsupported, "test-time augmentation is not defined for a head \(head.className)",
        advice: "leave out augmentation")
    }
    if let wrong = options.classes?.min(by: <), wrong < 0 || !(options.classes ?? []).allSatisfy({ $0 < head.classes })
    {
      throw ModelError(.invalid, "classes are numbers from 0 to \(head.classes - 1)")
    }
  }
}
