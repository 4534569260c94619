import ArgumentParser
import ModelUtils
import SystemPackage

struct Seed: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "seed",
    abstract: "The random numbers that PyTorch, NumPy or Python makes of a seed.",
    discussion: """
      torch: torch.manual_seed, then rand, randn, randperm, randint or bernoulli_. numpy: np.random.seed, then rand, normal, permutation \
      or randint. python: random.seed, then uniform, gauss, shuffle or randrange.

      Examples:
        mutils seed --shape 2x3
        mutils seed --seed 42 --generator numpy --distribution normal --shape 5
        mutils seed --distribution integers --low -3 --high 4 --dtype int8 --shape 100 -o draws.safetensors
      """)

  @Option(parsing: .unconditional, help: "The seed. torch and python take negative ones, numpy 32 bits.")
  var seed = SeedNumber(0)

  @Option(help: "Whose numbers.")
  var generator = SeedGenerator.torch

  @Option(help: "What is drawn.")
  var distribution = SeedDistribution.uniform

  @Option(help: ArgumentHelp("How many, by axes; a permutation's is its length.", valueName: "2x3"))
  var shape = SeedShape([10])

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp("The lowest number, of uniform and integers. Default: 0.", valueName: "number"))
  var low: String?

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp(
      "The first number above, of uniform (default: 1) and integers (default: 10).", valueName: "number"))
  var high: String?

  @Option(help: "The probability of 1, of bernoulli.")
  var p = 0.5

  @Option(parsing: .unconditional, help: "Of normal.")
  var mean = 0.0

  @Option(help: "The standard deviation, of normal.")
  var std = 1.0

  @Option(
    help: "The element type. Default: float32 of torch, float64 of numpy and python; int64 of permutation and integers."
  )
  var dtype: SeedType?

  @Option(
    name: .shortAndLong, help: "The file to write the tensor 'values' to; its extension picks the format.",
    completion: .file())
  var output: String?

  @OptionGroup var flags: WritingFlags

  @OptionGroup var report: ReportOptions

  func validate() throws {
    guard mean.isFinite, std.isFinite, std >= 0 else {
      throw ValidationError("--mean takes a finite number, --std one that is not negative")
    }
    guard p >= 0, p <= 1 else { throw ValidationError("--p takes a number from 0 to 1") }
    switch distribution {
    case .integers: _ = try (integer(low, "--low", default: 0), integer(high, "--high", default: 10))
    case .uniform: _ = try (number(low, "--low", default: 0), number(high, "--high", default: 1))
    default: if low != nil || high != nil { throw ValidationError("--low and --high are for uniform and integers") }
    }
    if distribution == .permutation, shape.lengths.count != 1 {
      throw ValidationError("a permutation has one length")
    }
  }

  func run() throws {
    if let output {
      _ = try Checkpoint.OutputFormat(of: FilePath(output))
      try WritingOptions.checkFree(FilePath(output), force: flags.force)
    }
    let draw = SeedDraw(
      seed: seed, generator: generator, distribution: distribution, shape: shape.lengths, dtype: dtype?.dtype, p: p,
      mean: mean, deviation: std, range: try (number(low, "--low", default: 0), number(high, "--high", default: 1)),
      integers: distribution == .integers
        ? try (integer(low, "--low", default: 0), integer(high, "--high", default: 10)) : (0, 1))
    let isPrinted = report.json || output == nil
    if isPrinted { try draw.checkPrintable() }
    let tensor = try draw.tensor()
    if let output, !flags.dryRun {
      try Checkpoint(StateDict(["values": tensor]), name: output).write(to: FilePath(output))
    }
    if report.json {
      try Results.print(json: SeedResult(values: SeedValues(tensor), shape: tensor.shape, output: output))
    } else if let output {
      Results.print("\(flags.saved) \(output): \(tensor.count) \(tensor.dtype.rawValue) numbers")
    } else {
      for row in try SeedValues(tensor).rows(of: tensor.shape.last ?? 1) { Results.print(row) }
    }
  }

  private func number(_ text: String?, _ option: String, default value: Double) throws -> Double {
    guard let text else { return value }
    guard let number = Double(text), number.isFinite else { throw ValidationError("\(option) takes a finite number") }
    return number
  }

  private func integer(_ text: String?, _ option: String, default value: Int) throws -> Int {
    guard let text else { return value }
    guard let number = Int(text) else { throw ValidationError("\(option) takes an integer of at most 64 bits") }
    return number
  }
}

private struct SeedResult: Encodable {
  let values: SeedValues
  let shape: [Int]
  let output: String?
}
