import ModelCore
import SystemPackage

extension ONNXModel {
  /// The constants as named tensors, in the file's order; those of texts and of less than a byte an element are left out.
  ///
  /// Buffers are the statistics of batch norms and what is no weight at all: scalars, shapes, masks.
  /// - Throws: `ModelError` naming a constant whose elements cannot be had.
  public func stateDict() throws -> StateDict {
    let roles = ONNXRoles(graph)
    var state = StateDict()
    for constant in constants where constant.tensor.hasElements {
      state[constant.name] = try constant.tensor.tensor()
      if roles.isStatistic(constant) || !constant.isWeight { state.buffers.insert(constant.name) }
    }
    state.conv2dWeights = Set(constants.filter { $0.tensor.shape.count == 4 && roles.isKernel($0) }.map(\.name))
    state.metadata = metadata.isEmpty ? nil : Dictionary(metadata.elements.map { ($0.key, $0.value) }) { $1 }
    return state
  }

  /// The elements of weights, and of batch norms' statistics: what an exported network has of PyTorch's parameters and
  /// buffers.
  public var weightCounts: (parameters: Int, buffers: Int) {
    let roles = ONNXRoles(graph)
    var counts = (parameters: 0, buffers: 0)
    func add(_ count: Int, isStatistic: Bool) {
      let (sum, overflow) = (isStatistic ? counts.buffers : counts.parameters).addingReportingOverflow(count)
      if isStatistic { counts.buffers = overflow ? Int.max : sum } else { counts.parameters = overflow ? Int.max : sum }
    }
    for constant in constants where constant.isWeight {
      add(constant.tensor.count, isStatistic: roles.isStatistic(constant))
    }
    for graph in [graph] + graph.allNodes.flatMap(\.subgraphs) {
      for tensor in graph.sparseInitializers where tensor.values.elementType.isWeight {
        add(Tensor.elementCount(tensor.shape) ?? 0, isStatistic: false)
      }
    }
    return counts
  }

  /// The weights that are whole numbers of a byte, whose scale and zero point stand elsewhere: none of `stateDict`'s
  /// parameters.
  public var quantizedWeights: [ONNXConstant] {
    constants.filter { $0.isWeight && $0.tensor.elementType.dtype?.isFloatingPoint == false }
  }

  /// Whether the file at a place is an ONNX model, or is called one and nothing else.
  public static func stands(at location: some FileLocation) throws -> Bool {
    let path = try location.filePath
    let file = try OtherFormat.open(path)
    return isONNX(file, path)
  }

  static func isONNX(_ file: FileBytes, _ path: FilePath?) -> Bool {
    if recognizes(file) { return true }
    let isOther =
      OtherFormat.refusal(of: file) != nil || ZipArchive.recognizes(file) || SafeTensors.recognizes(file)
      || PickleAudit.beginsWithPickle(file)
    return path?.extension?.lowercased() == "onnx" && !isOther
  }

  /// Whether a file is an ONNX model, by its content: a message of a model's fields, a graph among them.
  public static func recognizes(_ file: FileBytes) -> Bool {
    var reader = ProtobufReader(ProtobufStretch(file))
    var hasGraph = false
    while let next = try? reader.next() {
      switch (next.number, next.payload) {
      case (1, .varint), (5, .varint): continue
      case (7, .bytes): hasGraph = true
      case (2, .bytes), (3, .bytes), (4, .bytes), (6, .bytes), (8, .bytes), (14, .bytes), (20, .bytes), (25, .bytes),
        (26, .bytes):
        continue
      default: return false
      }
    }
    return hasGraph && reader.isAtEnd
  }
}

extension ONNXElementType {
  /// Whether weights are of this type: floating ones, and quantised ones of a byte.
  var isWeight: Bool { dtype.map { $0.isFloatingPoint || $0 == .int8 || $0 == .uint8 } ?? false }
}

extension ONNXConstant {
  /// Whether it is a weight by its type and size, not a scalar, a shape or a mask.
  public var isWeight: Bool { tensor.count > 1 && tensor.elementType.isWeight }
}

/// What nodes take constants for, looked up through the nodes that hand them on as they are.
struct ONNXRoles {
  /// Means and variances of batch norms.
  private var statistics: Set<String> = []
  /// Kernels of plain convolutions.
  private var kernels: Set<String> = []

  init(_ graph: ONNXGraph) {
    let nodes = graph.allNodes
    var sources: [String: String] = [:]
    for node in nodes where node.operation == "Identity" && node.isStandard && node.inputs.count == 1 {
      if let output = node.outputs.first { sources[output] = node.inputs[0] }
    }
    func source(_ name: String) -> String {
      var name = name
      for _ in 0..<64 {
        guard let next = sources[name] else { break }
        name = next
      }
      return name
    }
    for node in nodes where node.isStandard {
      if node.operation == "BatchNormalization" { statistics.formUnion(node.inputs.dropFirst(3).prefix(2).map(source)) }
      if node.operation == "Conv", node.inputs.count > 1 { kernels.insert(source(node.inputs[1])) }
    }
  }

  func isStatistic(_ constant: ONNXConstant) -> Bool { statistics.contains(constant.valueName) }

  func isKernel(_ constant: ONNXConstant) -> Bool { kernels.contains(constant.valueName) }
}
