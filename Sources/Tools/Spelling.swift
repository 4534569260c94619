import ArgumentParser
import ModelUtils

/// What people type who know the originals' commands, or mistype.
enum Spelling {
  private static let names: [String: [String]] = [
    "--imgsz": ["--image-size"], "--img-size": ["--image-size"], "--img": ["--image-size"],
    "--conf": ["--confidence"], "--conf-thres": ["--confidence"], "--iou-thres": ["--iou"],
    "--half": ["--dtype", "float16"],
  ]
  private static let types = ["fp16": "float16", "half": "float16", "bf16": "bfloat16", "fp32": "float32"]

  /// The arguments with our own names for the originals' options and for element types; what follows `--` stays.
  static func usual(_ arguments: [String]) -> [String] {
    var result: [String] = []
    for (index, argument) in arguments.enumerated() {
      if argument == "--" { return result + arguments[index...] }
      let parts = argument.split(separator: "=", maxSplits: 1)
      if let known = parts.first.flatMap({ names[String($0)] }) {
        result += parts.count > 1 ? [known[0] + "=" + parts[1]] : known
      } else if result.last == "--dtype", let type = types[argument.lowercased()] {
        result.append(type)
      } else {
        result.append(argument)
      }
    }
    return result
  }

  /// - Throws: `ValidationError` for a first word that is no subcommand; it says which are nearest.
  static func checkSubcommand(_ word: String?) throws {
    guard let word, !word.hasPrefix("-"), word != "help" else { return }
    let known = Mutils.configuration.subcommands.compactMap { $0._commandName }
    guard !known.contains(word) else { return }
    throw ValidationError("there is no subcommand '\(word.printable())'; the nearest are \(known.nearest(to: word))")
  }
}
