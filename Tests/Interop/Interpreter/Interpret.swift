import ModelUtils
import SystemPackage

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// Runs a whole-module checkpoint by the reference interpreter, so that tests can compare it with PyTorch.
///
///     interpret MODEL.pt INPUT.safetensors OUTPUT.safetensors
///       [--engine [--steps] [--times] [--kernels]] [--training] [--gradients] [--learn] [--scopes]
///       [--shape-only]
///
/// With `--onnx` the paths are folders with an ONNX model each (`InterpretONNX`).
///
/// With `--engine` the engine computes instead; `--steps` prints what it does, `--times` with the least seconds of some
/// runs, and `--kernels` refuses what only a slow reference computes. The output file has `output.0`, `output.1`, …, for `--training` also `update.<path>`, and for `--scopes` what each
/// module gave when it was first called: `scope.<path>.0`, …. With `--shape-only` the outputs' types are printed.
/// With `--learn` it prints the seconds that each of some steps of SGD takes, the loss being the mean square of the
/// outputs, and the output file has the weights after them. With `--gradients`, in training, the tensors of the input file that are called `gradient.…` are those of the floating
/// outputs, in order, and the output file has `gradient.<path>` of every parameter that has one.
@main
enum Interpret {
  static func main() {
    do {
      let arguments = CommandLine.arguments.dropFirst()
      let paths = arguments.filter { !$0.hasPrefix("--") }.map { FilePath($0) }
      if arguments.contains("--onnx") {
        for path in paths { print(InterpretONNX.line(path)) }
        return
      }
      guard paths.count == 3 else { throw ModelError(.invalid, "takes a model, inputs and a place for the outputs") }
      try run(paths[0], paths[1], paths[2], options: Set(arguments.filter { $0.hasPrefix("--") }))
    } catch {
      let line = "interpret: error: \(error)\n"
      _ = line.withCString { write(STDERR_FILENO, $0, line.utf8.count) }
      exit(1)
    }
  }

  static func run(_ model: FilePath, _ input: FilePath, _ output: FilePath, options: Set<String>) throws {
    guard let module = try Checkpoint(contentsOf: model).preferred.module else {
      throw ModelError(.invalid, "has no whole module", file: model.string)
    }
    let given = try Checkpoint(contentsOf: input).preferred.stateDict().tensors
    var inputs = given.filter { !$0.key.hasPrefix("gradient.") }.map(\.value)
    if options.contains("--learn") { return try learn(module, inputs, output) }
    let mode: Graph.Mode = options.contains("--training") ? .training : .inference
    var graph = try Graph(module, inputs: inputs.map { TensorType($0.dtype, $0.shape) }, mode: mode)
    for (path, weight) in graph.weights where weight.tensor.dtype.isFloatingPoint {
      graph.weights[path]?.tensor = try weight.tensor.converted(to: .float32)
    }

    if options.contains("--shape-only") {
      let types = try graph.types(of: inputs.map { TensorType($0.dtype, $0.shape) })
      for value in graph.outputs { print(types[value]) }
      return
    }
    let outputs = graph.outputs
    var gradients: OrderedDictionary<String, Graph.Value> = [:]
    if options.contains("--gradients") {
      let types = inputs.map { TensorType($0.dtype, $0.shape) }
      let known = try graph.types(of: types)
      graph.outputs = outputs.filter { known[$0].dtype.isFloatingPoint }
      let training = try graph.gradientsOfOutputs(for: types)
      (graph, gradients) = (training.graph, training.gradients)
      inputs += given.filter { $0.key.hasPrefix("gradient.") }.map(\.value)
    }
    var named = outputs.enumerated().map { ("output.\($0)", $1) }
    if mode == .training { named += graph.updates.map { ("update.\($0)", $1) } }
    named += gradients.map { ("gradient.\($0)", $1) }
    if options.contains("--scopes") {
      var seen: Set<String> = []
      for scope in graph.scopes where seen.insert(scope.path).inserted {
        named += scope.outputs.enumerated().map { ("scope.\(scope.path).\($0)", $1) }
      }
    }
    var results = StateDict()
    let values = named.map(\.1)
    let tensors: [Tensor]
    if options.contains("--engine") {
      let plan = try Plan(graph, for: inputs.map { TensorType($0.dtype, $0.shape) }, giving: values)
      if options.contains("--kernels"), let slow = plan.steps.first(where: { $0.implementation.hasPrefix("ref") }) {
        throw ModelError(.unsupported, "\(slow.operation) has no kernel: \(slow.implementation)", subject: slow.path)
      }
      let session = try Session(plan)
      tensors = try session.run(inputs)
      let times = options.contains("--times") ? try leastTimes(session, inputs) : []
      if options.contains("--steps") || !times.isEmpty {
        for (index, step) in plan.steps.enumerated() {
          print(step.path, step.operation, step.implementation, times.isEmpty ? "" : times[index])
        }
      }
    } else {
      tensors = try graph.reference(inputs, of: values)
    }
    for ((name, _), tensor) in zip(named, tensors) { results[name] = tensor }
    try SafeTensors.write(results, to: output)
  }

  private static func learn(_ module: Module, _ inputs: [Tensor], _ output: FilePath) throws {
    let types = inputs.map { TensorType($0.dtype, $0.shape) }
    let learner = try Learner(module, inputs: types, rule: .sgd(SGD(learningRate: 1e-3, momentum: 0.9))) {
      graph, outputs in
      let known = try graph.types(of: types)
      var loss: Graph.Value?
      for value in outputs where known[value].dtype.isFloatingPoint {
        let axes = Array(known[value].shape.indices)
        let mean = try graph.emit(
          .reduce(.mean, axes: axes, keepsAxes: false), try graph.emit(.unary(.square), value))
        loss = try loss.map { try graph.emit(.binary(.add), $0, mean) } ?? mean
      }
      guard let loss else { throw ModelError(.mismatch, "has no floating output") }
      return loss
    }
    let clock = ContinuousClock()
    for _ in 0..<12 {
      let duration = try clock.measure { _ = try learner.step(inputs) }
      print(Double(duration.components.seconds) + Double(duration.components.attoseconds) * 1e-18)
    }
    var results = StateDict()
    for (path, tensor) in try learner.weights() { results[path] = tensor }
    try SafeTensors.write(results, to: output)
  }

  /// Of each step the least seconds of ten runs on one thread.
  private static func leastTimes(_ session: Session, _ inputs: [Tensor]) throws -> [Double] {
    try Parallel.$threadCount.withValue(1) {
      var least = try session.timed(inputs)
      for _ in 0..<9 { least = zip(least, try session.timed(inputs)).map { min($0, $1) } }
      return least
    }
  }
}
