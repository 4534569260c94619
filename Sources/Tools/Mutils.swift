import ArgumentParser
import ModelUtils

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// The command: one small file per subcommand, each of which parses, calls the library and prints.
struct Mutils: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "mutils",
    abstract: "Inspects and operates on the weights of vision models, without Python.",
    discussion: """
      MODEL is a PyTorch file (.pt, .pth, .bin, .ckpt: whole modules, state dicts, TorchScript), a safetensors file, an index of \
      shards (*.index.json), a YOLOv5-style .yaml, or the name of a built-in architecture (yolov5n, resnet50, …), initialised with seed 0. \
      Content decides the format, not the extension. Nothing in a file is ever executed. Without MODEL yolov5n is built.

      Exit status: 0 done, 1 it could not be done (one line on standard error says why; with --json an object), 64 wrong usage. Where 1 is \
      an answer (diff: they differ; check: a finding; find: none; --verify: beyond the tolerance), 2 is trouble.
      """,
    version: modelUtilsVersion,
    groupedSubcommands: [
      CommandGroup(
        name: "Inspect",
        subcommands: [
          Info.self, Show.self, Find.self, SparsityCommand.self, Diff.self, Check.self, Report.self, Models.self,
        ]),
      CommandGroup(
        name: "Operate",
        subcommands: [
          Fuse.self, Prune.self, Intersect.self, Init.self, ClassifierCommand.self, Ema.self, Strip.self,
        ]),
      CommandGroup(name: "Compute", subcommands: [Run.self, ProfileModels.self, Detect.self, Classify.self]),
      CommandGroup(name: "Learn", subcommands: [Train.self, Val.self, Dataset.self]),
      CommandGroup(name: "Files", subcommands: [Convert.self, Edit.self]),
      CommandGroup(name: "Pictures", subcommands: [Scale.self]),
      CommandGroup(name: "Random numbers", subcommands: [Seed.self]),
      CommandGroup(name: "Machine", subcommands: [Devices.self, Env.self, ZeroFirst.self]),
    ])
}

@main
enum Main {
  static func main() {
    Signals.install()
    var command: any ParsableCommand = Mutils()
    do {
      try Signals.checkDescriptors()
      try Spelling.checkArguments()
      try Spelling.checkSubcommand(CommandLine.arguments.dropFirst().first)
      command = try Mutils.parseAsRoot(Spelling.usual(Array(CommandLine.arguments.dropFirst())))
      try command.run()
      Terminal.printNotes()
    } catch let error as ModelError {
      Terminal.error(error, asJSON: asksForJSON)
      exit((command as? any AnsweringCommand)?.answersByStatus ?? false ? 2 : 1)
    } catch let code as ExitCode {
      exit(code.rawValue)
    } catch {
      switch Mutils.exitCode(for: error) {
      case .validationFailure:
        let usage = Spelling.usage(for: error)
        Terminal.usageError(
          Spelling.message(for: error, Array(CommandLine.arguments.dropFirst())), usage: usage, asJSON: asksForJSON)
        exit(ExitCode.validationFailure.rawValue)
      case .success:
        let text = Spelling.wrappingUsage(Mutils.fullMessage(for: error))
        if !text.isEmpty { Terminal.write(text + "\n", to: .standardOutput) }
      default: Mutils.exit(withError: error)
      }
    }
  }

  private static var asksForJSON: Bool { CommandLine.arguments.prefix { $0 != "--" }.contains("--json") }
}

/// A subcommand whose status 1 is an answer, so that trouble ends it with 2, as diff, cmp and grep do.
protocol AnsweringCommand {
  var answersByStatus: Bool { get }
}

extension Diff: AnsweringCommand { var answersByStatus: Bool { true } }
extension Check: AnsweringCommand { var answersByStatus: Bool { true } }
extension Find: AnsweringCommand { var answersByStatus: Bool { true } }
extension Fuse: AnsweringCommand { var answersByStatus: Bool { verification.verify } }
extension Prune: AnsweringCommand { var answersByStatus: Bool { verification.verify } }
extension Strip: AnsweringCommand { var answersByStatus: Bool { verification.verify } }
extension Convert: AnsweringCommand { var answersByStatus: Bool { verification.verify } }
