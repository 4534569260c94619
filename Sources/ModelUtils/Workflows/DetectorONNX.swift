import ModelCheckpoints
import ModelCore
import ModelEngine
import ModelGraph
import ModelONNX

extension Detector {
  /// A detector of an ONNX model as YOLOv5's, Ultralytics' and this library's exporters write it: its metadata say what
  /// its classes are called, and by whose rules its outputs are read.
  ///
  /// A model of fixed sizes takes pictures of `inputSize` alone, with grey around them; its original defines no
  /// test-time augmentation.
  /// - Throws: `ModelError` where it has no such metadata or outputs, takes something else than one picture, or has
  ///   operators that are not known.
  public init(_ model: ONNXModel) throws {
    let exported = try ExportedDetector(model)
    let plans = PlanCache(capacity: 6) { types in try model.pictureGraph(for: types) }
    self.init(
      head: exported.head, classNames: exported.names, export: Export(inputSize: exported.inputSize), plans: plans)
  }
}

/// What the metadata and outputs of an exported detector say.
struct ExportedDetector {
  let head: DetectionHead
  let names: ClassNames
  /// [height, width] where the model takes no others.
  let inputSize: [Int]?

  init(_ model: ONNXModel) throws {
    let metadata = model.metadata
    guard let text = metadata["names"], let names = PythonText.names(text) else {
      throw ModelError(
        .unsupported, "has no names of classes in its metadata, as exported YOLO models do", file: model.name,
        advice: "mutils run gives what any model computes")
    }
    self.names = names
    let trace = try model.pictureTrace()
    guard let declared = trace.inputs.first?.type.shape else { throw ModelError(.missing, "has no input") }
    inputSize = model.takesOneSize ? Array(declared.suffix(2)) : nil
    let outputs = trace.outputs.compactMap(\.type?.shape)
    guard let boxes = outputs.first, boxes.count == 3 else {
      throw ModelError(
        .unsupported, "gives \(outputs.first ?? []), which are no boxes", file: model.name,
        advice: "mutils classify names what a picture shows")
    }
    do {
      head = try DetectionHead(
        exported: metadata, named: names.all.last.map { $0.key + 1 }, boxes: boxes,
        prototypes: outputs.count > 1 && outputs[1].count == 4 ? outputs[1] : nil)
    } catch let error as ModelError { throw error.inFile(model.name) }
  }
}

extension DetectionHead {
  /// The head that an exported model ends in.
  fileprivate init(
    exported metadata: OrderedDictionary<String, String>, named: Int?, boxes: [Int], prototypes: [Int]?
  ) throws {
    let task = metadata["task"]
    (path, output) = ("", 0)
    strides = [metadata["stride"].flatMap(Double.init).map { Int($0) } ?? 32]
    let isRows = boxes[2] < boxes[1]
    let masks = prototypes.map { $0[1] } ?? 0
    switch task {
    case nil:
      family =
        metadata["detector"].flatMap(Family.init) ?? (boxes[1] == 4 + (named ?? 0) && !isRows ? .yolov9 : .yolov5)
      extra = masks > 0 ? .masks(masks) : .none
      className = masks > 0 ? "Segment" : "Detect"
      givesChosenBoxes = false
    case "detect":
      let count = 4 + (named ?? 0)
      let isTransformer = metadata["head"] == "RTDETRDecoder" || boxes[2] == count && boxes[1] != count
      (family, extra) = (isTransformer ? .rtdetr : .ultralytics, .none)
      className = isTransformer ? "RTDETRDecoder" : "Detect"
      givesChosenBoxes = !isTransformer && boxes[2] == 6
    case "segment":
      (family, className, extra) = (.ultralytics, "Segment", .masks(masks))
      givesChosenBoxes = boxes[2] == 6 + masks
    case "pose":
      let shape = metadata["kpt_shape"].flatMap(PythonText.integers) ?? []
      guard shape.count == 2, (1...1 << 12).contains(shape[0]), (2...3).contains(shape[1]) else {
        throw ModelError(.missing, "has no usable 'kpt_shape' in its metadata")
      }
      (family, className, extra) = (.ultralytics, "Pose", .keypoints(count: shape[0], values: shape[1]))
      givesChosenBoxes = boxes[2] == 6 + shape[0] * shape[1]
    case "obb":
      (family, className, extra) = (.ultralytics, "OBB", .angle)
      givesChosenBoxes = boxes[2] == 7
    case let task?:
      throw ModelError(
        .unsupported, "is for the task '\(task.printable())', which finds no boxes",
        advice: task == "classify" ? "mutils classify names what a picture shows" : nil)
    }
    let hasConfidence = family == .yolov5 || family == .yolov6 || family == .yolov7
    let values = boxes[hasConfidence || family == .rtdetr ? 2 : 1] - (hasConfidence ? 5 : 4) - extra.count
    // Chosen boxes do not tell how many classes there are to choose from.
    classes = named ?? (givesChosenBoxes ? 1 << 16 : values)
    guard classes > 0, strides.allSatisfy({ (1...1 << 12).contains($0) }) else {
      throw ModelError(.malformed, "gives \(boxes) with the stride \(strides[0]), which are no boxes of classes")
    }
  }
}

extension ONNXModel {
  /// Whether the height and width of its first input are fixed.
  fileprivate var takesOneSize: Bool {
    guard case .tensor(_, let shape?)? = pictureInput?.kind, shape.count == 4 else { return false }
    return shape.suffix(2).allSatisfy { if case .fixed(let length) = $0 { length > 0 } else { false } }
  }

  /// The one input that a caller gives.
  private var pictureInput: ONNXValueInfo? {
    let constants = Set(graph.initializers.map(\.name))
    let inputs = graph.inputs.filter { !constants.contains($0.name) }
    return inputs.count == 1 ? inputs[0] : nil
  }

  /// The model followed for one picture.
  /// - Parameter shape: nil for the size that it says.
  func pictureTrace(of shape: [Int]? = nil) throws -> ONNXTrace {
    guard let input = pictureInput else {
      throw ModelError(.unsupported, "does not take one picture and nothing else", file: name)
    }
    var inputs = ONNXInputs()
    if let shape { inputs.shapes[input.name] = shape }
    do {
      let trace = try trace(inputs)
      _ = try trace.runnableGraph()
      let wide = try trace.widened()
      guard let type = wide.inputs.first?.type, type.dtype == .float32, type.shape.count == 4, type.shape[0] == 1,
        type.shape[1] == 3
      else {
        throw ModelError(
          .unsupported,
          "takes \(trace.inputs.first.map { "\($0.type.dtype.rawValue) \($0.type.shape)" } ?? "nothing"), which is no single picture"
        )
      }
      return wide
    } catch let error as ModelError { throw error.inFile(name) }
  }

  /// A graph of the model that computes in float32 and gives the outputs in their order.
  func pictureGraph(for types: [TensorType]) throws -> Graph {
    let trace = try pictureTrace(of: types.first?.shape)
    var graph = trace.graph
    graph.outputs = trace.outputs.compactMap(\.value)
    return graph
  }
}
