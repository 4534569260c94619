import ArgumentParser
import ModelUtils
import SystemPackage

struct Run: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "run",
    abstract: "Runs a model and tells, or writes, what it gives.",
    discussion: """
      Computes on the processor, with oneDNN. The model is a whole module whose classes are known, a state dict of a built-in \
      architecture, an ONNX model, or a built-in architecture's name.

      Examples:
        mutils run yolov5s.pt --input photo.jpg -o outputs.safetensors
        mutils run resnet50 --random --save layer4
        mutils run silero_vad.onnx --shape input=1x512 --value sr=16000
      """)

  @OptionGroup var arguments: ModelArguments
  @OptionGroup var report: ReportOptions

  @OptionGroup var given: InputOptions

  @Flag(help: "Give it uniform random numbers, which --seed determines: the default without --input.")
  var random = false

  @Option(parsing: .unconditional, help: "The seed of random inputs, as torch.manual_seed takes it. Default: 0.")
  var seed: SeedNumber?

  @Option(help: ArgumentHelp("How many random pictures at once. Default: 1.", valueName: "n"))
  var batchSize: Int?

  @Option(help: ArgumentHelp("What to multiply in: float32 or bfloat16.", valueName: "type"))
  var dtype = Precision.float32

  @Option(
    parsing: .singleValue,
    help: ArgumentHelp("Give only the outputs of these names, such as output.0. Default: all.", valueName: "glob"))
  var outputs: [String] = []

  @Option(
    parsing: .singleValue,
    help: ArgumentHelp("Give what the modules of these dotted paths give, too.", valueName: "glob"))
  var save: [String] = []

  @Option(
    name: .shortAndLong, help: "Write what it gives as .safetensors, or as .npy where that is one tensor.",
    completion: .file())
  var output: String?

  @OptionGroup var flags: WritingFlags

  func validate() throws {
    guard given.sizes.shape.isEmpty || batchSize ?? 1 == 1 else {
      throw ValidationError("--shape says the whole shape; leave --batch-size out")
    }
    guard given.input.isEmpty || (!random && seed == nil) else {
      throw ValidationError("--input and --random, --seed exclude each other")
    }
    guard (1...4096).contains(batchSize ?? 1) else {
      throw ValidationError("--batch-size takes a number from 1 to 4096")
    }
    if let output, !["safetensors", "npy"].contains(FilePath(output).extension?.lowercased()) {
      throw ValidationError("--output takes the name of a .safetensors or .npy file")
    }
  }

  func run() throws {
    try report.withThreads {
      if let output { try WritingOptions.checkFree(FilePath(output), force: flags.force) }
      let results = try self.results()
      if let output, !flags.dryRun { try write(results, to: FilePath(output)) }
      let lines = try results.map { try RunLine(name: $0.0, tensor: $0.1) }
      if report.json {
        try Results.print(json: RunResult(outputs: lines, output: output))
        return
      }
      for line in lines { Results.print(line.description) }
      if let output { Results.print("\(flags.saved) \(output)") }
    }
  }

  private func results() throws -> [(String, Tensor)] {
    if let model = try arguments.onnx() {
      do { return try compute(model) } catch let error as ModelError { throw error.inFile(model.name) }
    }
    guard given.sizes.value.isEmpty, given.sizes.shape.allSatisfy({ $0.name == nil }) else {
      throw ModelError(.invalid, "only the inputs of ONNX models have names", file: arguments.model)
    }
    let checkpoint = try arguments.open(report, reading: .preferred)
    let module = try checkpoint.computableModule(report.talk)
    return try checkpoint.named {
      try given.advising(on: module) { try compute(module) }
    }
  }

  private func write(_ results: [(String, Tensor)], to path: FilePath) throws {
    guard path.extension?.lowercased() == "npy" else {
      try SafeTensors.write(StateDict(OrderedDictionary(uniqueKeysWithValues: results)), to: path)
      return
    }
    guard results.count == 1 else {
      throw ModelError(
        .unsupported, "takes one tensor, not the \(results.count) that there are", file: path.string,
        advice: "write .safetensors")
    }
    try NumPyFile.write(results[0].1, to: path)
  }

  /// The outputs by the names that the file gives them; with `--save` what nodes give, by theirs.
  private func compute(_ model: ONNXModel) throws -> [(String, Tensor)] {
    let options = try given.onnxInputs(for: model, batchSize: batchSize ?? 1)
    let tensors = try given.onnxTensors(for: model, options)
    let trace = try model.trace(for: tensors, options)
    let graph = try advisingOnInputs(model, trace) { try trace.runnableGraph() }
    if given.sizes.shape.isEmpty {
      report.talk.note(
        sizes: trace.inputs.map(\.type.shape), imageSize: given.imageSize,
        batchSize: given.input.isEmpty ? batchSize : nil)
    }
    let random = try trace.inputs.contains { tensors[$0.name] == nil } ? trace.randomInputs(seed: seed?.bits ?? 0) : [:]
    var named = trace.outputs.compactMap { output in output.value.map { (output.name, $0) } }
    try chooseOutputs(&named)
    named += try saved(graph)
    let unique = OrderedDictionary(named, uniquingKeysWith: { first, _ in first })
    let inputs = tensors.merging(random) { given, _ in given }
    return try trace.run(inputs, giving: unique.map { ($0.key, $0.value) }, precision: dtype)
  }

  /// Where an input's size or value is what is missing, the error says how to give it.
  private func advisingOnInputs<R>(_ model: ONNXModel, _ trace: ONNXTrace, _ body: () throws -> R) throws -> R {
    do { return try body() } catch var error as ModelError {
      let cause = trace.unsized.first(where: \.isCause)
      if cause?.operation == "input" {
        let example = model.openInputs.first { $0.name == cause?.name }?.exampleShape
        error.advice = example.map { "say its shape, as --shape \($0)" }
      } else if cause?.operation == "If" {
        error.advice = "give the input that decides by --value, as sr=16000"
      }
      throw error
    }
  }

  private func chooseOutputs(_ named: inout [(String, Graph.Value)]) throws {
    if outputs.isEmpty { return }
    let names = named.map(\.0)
    named = named.filter { name, _ in outputs.contains { Glob($0).matches(name) } }
    if named.isEmpty {
      throw ModelError(
        .missing, "no output has such a name", subject: outputs[0],
        advice: "the nearest are \(names.nearest(to: outputs[0]))")
    }
  }

  /// What modules give that are asked for; one that is called several times gives what it gave first.
  private func saved(_ graph: Graph) throws -> [(String, Graph.Value)] {
    try save.flatMap { pattern in
      let glob = Glob(pattern)
      let scopes = graph.scopes.filter { !$0.path.isEmpty && glob.matches($0.path) }
      if scopes.isEmpty {
        throw ModelError(
          .missing, "no module or node of this path is called", subject: pattern,
          advice: "the nearest are \(graph.scopes.map(\.path).nearest(to: pattern))")
      }
      return scopes.flatMap { scope in
        scope.outputs.enumerated().map {
          (scope.outputs.count == 1 ? scope.path : "\(scope.path).\($0.offset)", $0.element)
        }
      }
    }
  }

  private func compute(_ module: Module) throws -> [(String, Tensor)] {
    // Random numbers are drawn when it is known that there is room to compute with them.
    let inputs = try given.input.isEmpty ? nil : given.tensors(for: module)
    let types =
      inputs?.map { TensorType($0.dtype, $0.shape) }
      ?? given.shapes(for: module, batchSize: batchSize ?? 1).map { TensorType(.float32, $0) }
    let graph = try module.evaluationGraph(for: types)
    var named = graph.outputs.enumerated().map { ("output.\($0)", $1) }
    try chooseOutputs(&named)
    named += try saved(graph)
    let unique = OrderedDictionary(named, uniquingKeysWith: { first, _ in first })
    let plan = try Plan(graph, for: types, giving: Array(unique.values), precision: dtype)
    let session = try Session(plan)
    return Array(zip(unique.keys, try session.run(inputs ?? given.random(types.map(\.shape), seed: seed?.bits ?? 0))))
  }
}

/// A tensor that a model gave.
private struct RunLine: Encodable, CustomStringConvertible {
  let name: String
  let shape: [Int]
  let dtype: String
  let min: Double?
  let max: Double?
  let mean: Double?

  init(name: String, tensor: Tensor) throws {
    (self.name, shape, dtype) = (name, tensor.shape, tensor.dtype.rawValue)
    let values = try tensor.doubles()
    min = values.min()
    max = values.max()
    mean = values.isEmpty ? nil : values.reduce(0, +) / Double(values.count)
  }

  var description: String {
    let numbers = [("min", min), ("max", max), ("mean", mean)].compactMap { label, value in
      value.map { CFormat.string("\(label) %.6g", $0) }
    }
    return ([name, "\(dtype) \(shape)"] + numbers).joined(separator: "  ")
  }
}

private struct RunResult: Encodable {
  let outputs: [RunLine]
  let output: String?
}
