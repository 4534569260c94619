import ModelArchitectures
import ModelCheckpoints
import ModelCore
import ModelEngine
import ModelGraph
import ModelImages
import ModelSurgery

/// Names what a picture shows, with the preprocessing of the library that the model is from: torchvision, timm,
/// Ultralytics or YOLOv5.
///
///     let classifier = try Classifier(contentsOf: "resnet50.pt")
///     for guess in try classifier.classify(ImageFile(contentsOf: "cat.jpg")).prefix(5) {
///       print(guess.className, guess.probability)
///     }
///
/// Several threads may use one at once.
public struct Classifier: Sendable {
  /// What the model calls its classes.
  public let classNames: ClassNames
  /// What is done to a picture before the model sees it.
  public var preprocessing: ClassifierPreprocessing
  private let plans: PlanCache

  /// A class and how probable it is.
  public struct Guess: Sendable, Hashable, Encodable {
    /// The number of the class, from 0.
    public let classIndex: Int
    /// What the model calls it; `class 3` where it has no name.
    public let className: String
    /// 0 to 1; all classes' together make 1.
    public let probability: Float

    private enum CodingKeys: String, CodingKey {
      case classIndex = "class"
      case className = "name"
      case probability
    }

    public func encode(to encoder: any Encoder) throws {
      var container = encoder.container(keyedBy: CodingKeys.self)
      try container.encode(classIndex, forKey: .classIndex)
      try container.encode(className, forKey: .className)
      try container.encode(Double(probability), forKey: .probability)
    }
  }

  /// A classifier of a checkpoint that holds a whole module, or a state dict of a built-in architecture.
  /// - Throws: `ModelError` where the file cannot be read or does not say what its layers compute.
  public init(contentsOf location: some FileLocation, key: String? = nil) throws {
    let checkpoint = try Checkpoint(contentsOf: location, key: key)
    if let model = checkpoint.onnx {
      try self.init(model)
      return
    }
    do { try self.init(checkpoint.computableModule(), of: checkpoint) } catch let error as ModelError {
      throw error.inFile(checkpoint.name)
    }
  }

  /// A classifier of a checkpoint's module, with the classes' names and the size of pictures that a training run's file
  /// says.
  /// - Throws: as `ClassifierPreprocessing.init(of:)`.
  public init(_ module: Module, of checkpoint: Checkpoint) throws {
    let learned = LearnedClasses(checkpoint)
    try self.init(module, classNames: learned.map { ClassNames($0.names) })
    if let size = learned?.imageSize { preprocessing = preprocessing.resized(to: size) }
  }

  /// A classifier of a module.
  /// - Parameter classNames: those that stand in the module where it is nil.
  /// - Throws: as `ClassifierPreprocessing.init(of:)`.
  public init(_ module: Module, classNames: ClassNames? = nil) throws {
    self.classNames = classNames ?? ClassNames(of: module)
    preprocessing = try ClassifierPreprocessing(of: module)
    let module = try module.deployed()
    plans = PlanCache(capacity: 2) { types in
      var graph = try module.evaluationGraph(for: types)
      try graph.giveProbabilities()
      return graph
    }
  }

  /// A classifier of an ONNX model that Ultralytics' or YOLOv5's exporter wrote, or this library's of their models, whose
  /// metadata name the classes.
  /// - Throws: `ModelError` where it has no such metadata, takes something else than one picture, or has operators that
  ///   are not known.
  public init(_ model: ONNXModel) throws {
    guard let names = model.metadata["names"].flatMap(PythonText.names),
      ["classify", nil].contains(model.metadata["task"])
    else {
      throw ModelError(
        .unsupported, "has no metadata that say how pictures are prepared and what its classes are", file: model.name,
        advice: "mutils run gives what any model computes")
    }
    let trace = try model.pictureTrace()
    let size = trace.inputs.first.map { Array($0.type.shape.suffix(2)) } ?? []
    guard size.count == 2, trace.outputs.first?.type?.shape == [1, names.all.count] else {
      throw ModelError(
        .unsupported, "gives \(trace.outputs.first?.type?.shape ?? []) for \(names.all.count) classes",
        file: model.name,
        advice: "mutils detect finds things in pictures")
    }
    classNames = names
    preprocessing =
      model.metadata["task"] == nil
      ? ClassifierPreprocessing(resizing: .middleSquare, cropSize: size)
      : ClassifierPreprocessing(
        resizing: .shorterSide(size.min() ?? 0, .bilinear), cropSize: size, mean: [0, 0, 0],
        standardDeviation: [1, 1, 1])
    plans = PlanCache(capacity: 2) { types in
      var graph = try model.pictureGraph(for: types)
      try graph.giveProbabilities()
      return graph
    }
  }

  /// All classes of a picture, the most probable first; of equal ones the first comes first.
  /// - Throws: `ModelError` where the model cannot be run, or gives no row of scores.
  public func classify(_ picture: ImageFile) throws -> [Guess] { try classify(preprocessing(picture)) }

  /// The same for a picture that `preprocessing` made float32 [1, 3, height, width].
  /// - Throws: as `classify(_:)`.
  public func classify(_ tensor: Tensor) throws -> [Guess] {
    let output = try plans.run([tensor]).first
    guard let output, output.shape.count == 2, output.shape[0] == 1, output.shape[1] > 0 else {
      throw ModelError(
        .unsupported, "gives \(output?.shape ?? []), a classifier gives one row of scores for a picture",
        advice: "mutils run gives what any model computes")
    }
    let scores = try output.floats()
    return scores.descendingOrder.map {
      Guess(classIndex: $0, className: classNames[$0], probability: scores[$0])
    }
  }
}

extension Graph {
  /// Leaves the first output alone, as probabilities: behind a softmax unless it is one.
  fileprivate mutating func giveProbabilities() throws {
    guard let first = outputs.first else { return }
    let operation = producer(of: first).map { nodes[$0].operation }
    switch operation {
    case .softmax(_, isLogarithm: false): outputs = [first]
    case .softmax(_, isLogarithm: true): outputs = [try emit(.unary(.exp), first)]
    default: outputs = [try emit(.softmax(axis: -1, isLogarithm: false), first)]
    }
  }
}
