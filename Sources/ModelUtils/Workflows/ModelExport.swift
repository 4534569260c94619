import ModelArchitectures
import ModelCheckpoints
import ModelCore
import ModelGraph
import ModelInspection
import ModelONNX
import ModelSurgery

/// What a model is exported for, and how.
public struct ExportOptions: Sendable {
  /// Height and width of the pictures; nil for what the model says of itself.
  public var imageSize: (height: Int, width: Int)?
  /// How many pictures at once.
  public var batchSize = 1
  /// The shape of the one input, where it is no batch of pictures.
  public var shape: [Int]?
  /// Whether the batch, and height and width where the model takes any, may have other lengths.
  public var isDynamic = false
  /// Which edition of ONNX's operators is written, 12 to 22.
  public var opset = 17
  /// What weights are stored and computed in; inputs and outputs stay float32.
  public var dtype = DType.float32
  /// Whether a detector gives its levels' maps as its convolutions leave them, in place of boxes.
  public var givesRawHead = false

  /// One picture of the model's own size, opset 17, float32.
  public init() {}
}

/// An exported model, and what is to be said about it.
public struct ExportedModel: Sendable {
  /// The model.
  public var model: ONNXModel
  /// Why height and width are fixed although dynamic axes were asked for; nil where they are not.
  public var fixedSizeReason: String?
}

extension Module {
  /// The model as ONNX: as it computes in evaluation, with branches merged and batch norms fused; boxes and scores as the
  /// original's own exporter gives them, under its names (`images`, `output0`, `output1`), and with the metadata that its
  /// programs read.
  /// - Parameter file: the name of the file that it is from, for its description.
  /// - Throws: `ModelError` naming the module and the operation that cannot be expressed, and for classes whose forward
  ///   is not known or runs only in part.
  public func exported(_ options: ExportOptions = ExportOptions(), file: String? = nil) throws -> ExportedModel {
    guard options.dtype == .float32 || options.dtype == .float16 else {
      throw ModelError(.invalid, "a model is exported in float32 or float16, not \(options.dtype.rawValue)")
    }
    var plain = try deployed()
    try plain.fuse()
    let shape = options.shape ?? plain.pictureShape(options)
    var onnx = ONNXExportOptions(opset: options.opset)
    var reason: String?
    func model() throws -> ONNXModel {
      do {
        return try ONNXModel(exporting: [TensorType(.float32, shape)], onnx) {
          try plain.exportedGraph($0, givesRawHead: options.givesRawHead)
        }
      } catch var error as ModelError where error.kind == .mismatch && error.advice == nil {
        if let head = try? DetectionHead(of: self) { error.advice = "sides are best multiples of \(head.stride)" }
        throw error
      }
    }
    var result: ONNXModel
    if options.isDynamic {
      onnx.dynamicAxes = [.init("batch", axis: 0)]
      let batched = onnx.dynamicAxes
      if shape.count == 4 {
        onnx.dynamicAxes += [.init("height", axis: 2, step: sizeStep), .init("width", axis: 3, step: sizeStep)]
      }
      do { result = try model() } catch let error as ModelError where onnx.dynamicAxes.count > 1 {
        onnx.dynamicAxes = batched
        result = try model()
        reason = error.reason
      }
    } else {
      result = try model()
    }
    result.metadata = exportMetadata(shape: shape, isDynamic: options.isDynamic, options, file: file)
    if options.dtype == .float16 { try result.narrow() }
    return ExportedModel(model: result, fixedSizeReason: reason)
  }

  /// A batch of pictures, of 3 channels where the first layer's weight does not tell.
  private func pictureShape(_ options: ExportOptions) -> [Int] {
    let size = options.imageSize ?? pictureSize
    func shape(_ channels: Int) -> [Int] { [options.batchSize, channels, size.height, size.width] }
    let guess = shape(inputChannels)
    if guess[1] == 3 { return guess }
    func fits(_ shape: [Int]) -> Bool {
      let types = [TensorType(.float32, shape)]
      return (try? Graph(self, inputs: types).types(of: types)) != nil
    }
    return !fits(guess) && fits(shape(3)) ? shape(3) : guess
  }

  /// How far apart the sizes lie that are tried for dynamic axes. The sides of a detector's pictures are multiples of its
  /// stride; other models are to take any, odd ones too.
  private var sizeStep: Int {
    if let head = try? DetectionHead(of: self) { return max(32, head.stride) }
    guard let stride = attributes["stride"]?.doublesValue?.max(), (1...4096).contains(stride) else { return 37 }
    return max(32, Int(stride))
  }

  /// Whether it gives what a loss would take beside its boxes, which alone are exported.
  var givesMoreThanIsExported: Bool { (try? DetectionHead(of: self))?.family == .yolov6 }

  private func exportedGraph(_ types: [TensorType], givesRawHead: Bool) throws -> Graph {
    var graph = try evaluationGraph(for: types)
    if let omission = graph.omissions.first {
      throw ModelError(
        .unsupported, "\(omission.className) is not exported: \(omission.reason)", subject: omission.path)
    }
    if givesMoreThanIsExported { graph.outputs = Array(graph.outputs.prefix(1)) }
    if givesRawHead { graph.outputs = try rawHeadOutputs(&graph) }
    return graph
  }
}
