import ModelCheckpoints
import ModelCore
import ModelData
import ModelDetection
import ModelRandom
import ModelTraining

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// Does single parts of a training, so that tests can compare them with PyTorch.
///
///     rehearse optimize CHECKPOINT.pt GRADIENTS.safetensors OUTPUT.pt SGD|Adam|AdamW|RMSprop [MAXIMUM-NORM]
///     rehearse learn MODEL.pt STATE.pt BATCHES.safetensors OUTPUT.pt SGD|Adam|AdamW|RMSprop float|double
///     rehearse learn-detections MODEL.pt STATE.pt BATCHES.safetensors OUTPUT.pt SGD|Adam|AdamW|RMSprop float|double KEY=VALUE…
///     rehearse set PATH OUTPUT.safetensors
///     rehearse transform FOLDER OUTPUT.safetensors training|evaluation|cifar SIZE SEED
///     rehearse load PATH SIZE BATCH THREADS
///     rehearse boxes DESCRIPTION.yaml train|val|test OUTPUT.safetensors KEY=VALUE…
///     rehearse coco DESCRIPTION.yaml train|val|test OUTPUT.json
///     rehearse recoco INSTANCES.json PICTURES OUTPUT.json
///     rehearse check DESCRIPTION.yaml train|val|test
///
/// `optimize` goes on with a checkpoint's `model` and `optimizer` by the gradients `<step>.<name>`; `learn` with a state of
/// training by batches (`Learning`), `learn-detections` by YOLOv6's loss (`YOLOv6Loss.init(arguments:)`). `set` writes labels and pictures; `transform` pictures, of which each has the seed
/// anew; `load` reads a set once and says how fast. `boxes` writes batches of a detection set (`DetectionData`), `coco` its
/// labels as COCO's instances, `recoco` those instances read and written again; `check` says what is wrong with it.
@main
enum Rehearse {
  static func main() {
    do {
      let arguments = Array(CommandLine.arguments.dropFirst())
      switch (arguments.first, arguments.count) {
      case ("optimize", 5...6): try optimize(arguments)
      case ("learn", 7): try learn(arguments, .crossEntropy)
      case ("learn-detections", 7...):
        try learn(arguments, .detection(YOLOv6Loss(arguments: Array(arguments.dropFirst(7)))))
      case ("set", 3): try writeSets(ClassificationSets(contentsOf: arguments[1]), to: arguments[2])
      case ("transform", 6): try transform(arguments)
      case ("load", 5): try load(arguments)
      case ("boxes", 4...):
        try DetectionData(arguments[1], arguments[2], Array(arguments.dropFirst(4))).write(to: arguments[3])
      case ("coco", 4): try DetectionData.set(arguments[1], arguments[2]).writeCOCO(to: arguments[3])
      case ("recoco", 4): try DetectionSet(coco: arguments[1], pictures: arguments[2]).writeCOCO(to: arguments[3])
      case ("check", 3): try DetectionData.check(arguments[1], arguments[2])
      default: throw ModelError(.invalid, "takes a part of a training, and its files")
      }
    } catch {
      let line = "rehearse: error: \(error)\n"
      _ = line.withCString { write(STDERR_FILENO, $0, line.utf8.count) }
      exit(1)
    }
  }

  private static func optimize(_ arguments: [String]) throws {
    var checkpoint = try Checkpoint(contentsOf: arguments[1])
    var state = checkpoint.preferred.stateDict()
    let gradients = try Checkpoint(contentsOf: arguments[2]).preferred.stateDict()
    guard let saved = checkpoint.contents(of: "optimizer") else { throw ModelError(.missing, "has no optimizer") }
    let rule = try rule(arguments[4])
    var names = Array(state.names)
    var groups: [ParameterGroup] = []
    for entry in saved.entriesValue ?? [] where entry.key == .string("param_groups") {
      guard case .list(let packed) = entry.value else { continue }
      for group in packed {
        let count = group.entriesValue?.first { $0.key == .string("params") }?.value.intsValue?.count ?? 0
        groups.append(ParameterGroup(Array(names.prefix(count)), rule))
        names.removeFirst(min(count, names.count))
      }
    }
    var optimizer = try Optimizer<Float>(groups)
    try optimizer.load(saved)
    var values = try state.tensors.reduce(into: [:]) { $0[$1.key] = try $1.value.floats() }
    let steps = Set(gradients.names.compactMap { $0.split(separator: ".").first.flatMap { Int($0) } }).sorted()
    let clipping = arguments.count > 5 ? Double(arguments[5]).map { GradientClipping.norm(maximum: $0) } : nil
    for step in steps {
      let known = try values.keys.reduce(into: [:]) { $0[$1] = try gradients["\(step).\($1)"]?.floats() }
      try optimizer.step(&values, known, clipping: clipping)
    }
    for (name, value) in values { state[name] = try Tensor(value, state[name]?.shape) }
    checkpoint.preferred = .stateDict(state)
    try checkpoint.setEntry("optimizer", to: optimizer.stateDict(like: state))
    try checkpoint.write(to: arguments[3])
  }

  private static func rule(_ name: String) throws -> OptimizerRule {
    let rules: [String: OptimizerRule] = [
      "SGD": .sgd(SGD()), "Adam": .adam(Adam()), "AdamW": .adam(.adamW()), "RMSprop": .rmsprop(RMSprop()),
    ]
    guard let rule = rules[name] else { throw ModelError(.invalid, "\(name) is no optimizer") }
    return rule
  }

  private static func learn(_ arguments: [String], _ objective: Learning.Objective) throws {
    guard let precision = Learning.Precision(rawValue: arguments[6]) else {
      throw ModelError(.invalid, "\(arguments[6]) is no precision")
    }
    var learning = try Learning(
      model: arguments[1], state: arguments[2], batches: arguments[3], rule: rule(arguments[5]),
      objective: objective)
    try learning.run(precision, to: arguments[4])
  }

  private static func writeSets(_ sets: ClassificationSets, to output: String) throws {
    var results = StateDict()
    for (name, set) in [("training", sets.training), ("validation", sets.validation)] {
      guard let set else { continue }
      results["\(name).labels"] = try Tensor(set.labels.map(Int64.init))
      for index in 0..<min(set.count, 100) { results["\(name).\(index)"] = try set.picture(index).materialized() }
    }
    try Checkpoint(results).write(to: output)
  }

  private static func recipe(_ name: String, _ size: Int) throws -> PicturePreprocessing {
    switch name {
    case "training": try .training(size: size)
    case "evaluation": try .evaluation(size: size, resizedTo: size * 8 / 7)
    default:
      try PicturePreprocessing([.randomCrop(height: size, width: size, padding: 4), .randomHorizontalFlip()])
    }
  }

  private static func transform(_ arguments: [String]) throws {
    let set = try ClassificationSet(imageFolder: arguments[1])
    guard let size = Int(arguments[4]), let seed = UInt64(arguments[5]) else {
      throw ModelError(.invalid, "size and seed are numbers")
    }
    let recipe = try recipe(arguments[3], size)
    var results = StateDict()
    for index in 0..<set.count {
      var generator = TorchGenerator(seed: seed)
      let picture = try recipe.transformed(set.picture(index), drawing: &generator)
      results[String(index)] = try picture.materialized()
      results["\(index).next"] = try Tensor([Int64(generator.next32())])
    }
    try Checkpoint(results).write(to: arguments[2])
  }

  private static func load(_ arguments: [String]) throws {
    let set = try ClassificationSets(contentsOf: arguments[1]).training
    guard let size = Int(arguments[2]), let batch = Int(arguments[3]), let threads = Int(arguments[4]) else {
      throw ModelError(.invalid, "size, batch and threads are numbers")
    }
    let recipe =
      set.isInFiles ? try PicturePreprocessing.training(size: size) : try PicturePreprocessing([], channels: 1)
    let loader = try BatchLoader(set, recipe, threads: threads)
    for epoch in 0..<2 {
      var generator = TorchGenerator(seed: 0)
      let order = try SampleOrder.shuffled(set.count, drawing: &generator)
      let start = ContinuousClock.now
      let batches = try loader.batches(epoch: epoch, SampleOrder.batches(order, size: batch))
      var sum = 0.0
      while let batch = try batches.next() { sum += Double(batch.inputs[0]) }
      print("epoch \(epoch): \(set.count) pictures in \(ContinuousClock.now - start), \(sum)")
    }
  }
}
