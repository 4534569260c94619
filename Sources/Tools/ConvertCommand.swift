import ArgumentParser
import ModelUtils
import SystemPackage

struct Convert: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "convert",
    abstract: "Rewrites a checkpoint in another format or element type.",
    discussion: """
      Example: mutils convert model.pt -o model.safetensors

      Many go into a folder: mutils convert runs/*.pt -o tensors/ --format safetensors

      A PyTorch file written as one again stays what it was, whole modules included; any other way the tensors alone are written.

      Written as .onnx a model whose classes are known is exported: as it computes in evaluation, batch norms fused, with the names, \
      outputs and metadata of YOLOv5's and Ultralytics' own exporters:
        mutils convert best.pt -o best.onnx --image-size 640
      """)

  @Argument(help: ModelSource.help(more: " Several are done one after the other."), completion: Completion.models)
  var inputs: [String]

  @OptionGroup var output: OutputOptions

  @Option(help: "Convert floating tensors to float64, float32, float16, bfloat16, float8_e4m3fn or float8_e5m2.")
  var dtype: ElementType?

  @Option(help: ModelSource.keyHelp)
  var key: String?

  @OptionGroup(title: "Export to ONNX") var exporting: ExportArguments

  @OptionGroup(title: "Rewriting ONNX") var rewriting: ONNXRewriting

  @OptionGroup var report: ReportOptions

  @OptionGroup var verification: VerifyOptions

  struct ElementType: ExpressibleByArgument {
    let dtype: DType

    init?(argument: String) {
      guard let dtype = DType(rawValue: argument.lowercased()), DType.computed.contains(dtype) else { return nil }
      self.dtype = dtype
    }
  }

  private func convert(_ checkpoint: inout Checkpoint, to dtype: DType) throws {
    let name = checkpoint.name
    try checkpoint.updateModels { _, model in
      do {
        report.note(try model.stateDict().overflows(in: dtype), in: dtype)
        try model.convert(to: dtype)
      } catch let error as ModelError { throw error.inFile(name) }
      let kept = model.stateDict().tensors.filter { $0.value.dtype.isFloatingPoint && $0.value.dtype != dtype }
      if !kept.isEmpty {
        report.note("floats of less than a byte stay as they are, as in PyTorch: \(Text.list(Array(kept.keys)))")
      }
    }
  }

  func validate() throws {
    guard output.output != nil else { throw ValidationError("give the place to write to: -o FILE, -o FOLDER/ or -o -") }
    try output.check(for: inputs)
    guard try inputs.contains(where: { try output.writesONNX(for: $0) }) else {
      if exporting.isGiven || rewriting.isGiven {
        throw ValidationError(
          "--batch-size, --dynamic, --opset, --raw-head, --into, --external-data and --inline go with an output .onnx")
      }
      return try verification.requireVerify()
    }
    guard verification.verify || (verification.tolerance == nil && verification.input.input.isEmpty) else {
      throw ValidationError("--tolerance and --input go with --verify")
    }
    guard !verification.verify || !exporting.rawHead else {
      throw ValidationError("--verify compares decoded boxes; leave out --raw-head")
    }
    guard verification.input.sizes.shape.count < 2 else { throw ValidationError("a model is exported for one input") }
    guard dtype == nil || dtype?.dtype == .float32 || dtype?.dtype == .float16 else {
      throw ValidationError("a model is exported in float32 or float16")
    }
    guard !output.writing.stateDict, output.writing.maxShardSize == nil else {
      throw ValidationError("--state-dict and --max-shard-size do not go with an output .onnx")
    }
  }

  /// Weights that float16 cannot hold would make another model; what stands for infinity may become it.
  private func refuseOverflow(_ state: StateDict) throws {
    let overflows = try state.overflows(in: .float16)
    report.note(overflows, in: .float16)
    for name in overflows.map(\.name) {
      let numbers = try state[name]?.doubles().filter { abs($0) > 65504 && abs($0) < 1e30 } ?? []
      guard numbers.isEmpty else {
        throw ModelError(
          .limit, "holds numbers up to \(numbers.map(abs).max() ?? 0), which float16 does not", subject: name,
          advice: "fuse the model first, where this is a batch norm's, or keep float32")
      }
    }
  }

  private func export(_ input: String, to destination: Destination) throws {
    let given = verification.input
    let checkpoint = try ModelSource.open(input, key: key)
    if var model = try checkpoint.named({ try rewriting.model(checkpoint, report) }) {
      guard !exporting.isGiven else {
        throw ModelError(.invalid, "is an ONNX model already, so it is not exported", file: input)
      }
      if dtype?.dtype == .float32,
        model.constants.contains(where: { $0.isWeight && $0.tensor.elementType.dtype == .float16 })
      {
        throw ModelError(.unsupported, "holds float16 weights, which stay as narrow as they are", file: input)
      }
      if dtype?.dtype == .float16 {
        try checkpoint.named {
          try refuseOverflow(checkpoint.preferred.stateDict())
          try model.narrow(tracedFor: given.onnxInputs(for: model))
        }
      }
      if verification.verify, let original = checkpoint.onnx {
        let tolerance = verification.tolerance ?? (dtype?.dtype == .float16 ? 2e-2 : 1e-4)
        try checkpoint.named {
          try original.compareOutputs(with: model, inputs: given.tensors(for: original), tolerance: tolerance)
        }.judge(report)
      }
      return try rewriting.write(model, to: destination, output.writing, report)
    }
    let result = try exporting.export(
      checkpoint, size: given.imageSize, shape: given.sizes.shape.first?.lengths, dtype: dtype?.dtype, verification,
      report
    ) {
      try output.writing.write($0, to: destination, rewriting.dataPlace, report)
      return destination.name
    }
    try result.show(output.writing, report)
  }

  func run() throws {
    try report.withThreads {
      guard inputs.count > 1 else { return try convert(inputs[0]) }
      try Series.forEach(inputs, of: self, report, convert)
    }
  }

  private func convert(_ input: String) throws {
    guard let destination = try output.destination(for: input, suffix: "converted") else { return }
    if try output.writesONNX(for: input) { return try export(input, to: destination) }
    var checkpoint = try ModelSource.open(input, key: key)
    let original = checkpoint
    if let dtype = dtype?.dtype {
      try convert(&checkpoint, to: dtype)
    }
    let verified = try verification.compare(original, with: checkpoint, report.talk)
    try verified?.judge(report)
    let bytes = try output.writing.write(checkpoint, to: destination, report)
    let names = checkpoint.preferred.stateDict().count
    let isSafeTensors = try destination.format(of: checkpoint) == .safetensors
    let aliases = isSafeTensors ? try SafeTensors.Layout(checkpoint.safeTensorsState()).aliases.count : 0
    if report.json {
      try Results.print(
        json: ConvertResult(
          tensors: names - aliases, aliases: aliases, bytes: bytes, verified: verified,
          output: output.writing.place(of: destination)))
    } else {
      let other = aliases == 0 ? "" : " under \(names) names"
      if let verified { Results.print("Verified: \(verified)") }
      let saved = output.writing.told(output.writing.place(of: destination))
      Results.print("\(saved): \(FigureText.count(names - aliases, "tensor"))\(other), \(Text.bytes(bytes))")
    }
  }
}

private struct ConvertResult: Encodable {
  let tensors: Int
  /// How many further names of tied tensors stand in the metadata of a safetensors file.
  let aliases: Int
  let bytes: Int
  let verified: OutputComparison?
  let output: String
}
