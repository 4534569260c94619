import ArgumentParser
import ModelUtils

/// What people type who know the originals' commands, or mistype.
enum Spelling {
  private static let names: [String: [String]] = [
    "--imgsz": ["--image-size"], "--img-size": ["--image-size"], "--img": ["--image-size"],
    "--conf": ["--confidence"], "--conf-thres": ["--confidence"], "--iou-thres": ["--iou"],
    "--half": ["--dtype", "float16"],
  ]
  /// Of single subcommands; an option without a name of ours is an argument here.
  private static let ownNames: [String: [String: [String]]] = [
    "train": [
      "--batch": ["--batch-size"], "--weights": ["--pretrained"], "--cfg": ["--model"], "--data": [],
    ],
    "val": ["--batch": ["--batch-size"]],
  ]
  private static let types = ["fp16": "float16", "half": "float16", "bf16": "bfloat16", "fp32": "float32"]

  /// The arguments with our own names for the originals' options and for element types; what follows `--` stays.
  static func usual(_ arguments: [String]) -> [String] {
    var result: [String] = []
    let names = names.merging(arguments.first.flatMap { ownNames[$0] } ?? [:]) { $1 }
    for (index, argument) in arguments.enumerated() {
      if argument == "--" { return result + arguments[index...] }
      let parts = argument.split(separator: "=", maxSplits: 1)
      if let known = parts.first.flatMap({ names[String($0)] }) {
        let value = parts.dropFirst().first.map(String.init)
        result += known.isEmpty ? [value].compactMap { $0 } : value.map { [known[0] + "=" + $0] } ?? known
      } else if result.last == "--dtype", let type = types[argument.lowercased()] {
        result.append(type)
      } else {
        result.append(argument)
      }
    }
    return result
  }

  /// How the subcommand goes that an error is about.
  static func usage(for error: any Error) -> String {
    let message = "Error: \(Mutils.message(for: error))\n"
    let text = Mutils.fullMessage(for: error)
    return wrappingUsage(String(text.dropFirst(text.hasPrefix(message) ? message.count : 0)))
  }

  /// What is wrong, with a word about a number below zero that was taken for an option.
  static func message(for error: any Error, _ arguments: [String]) -> String {
    let message = Mutils.message(for: error)
    guard message.hasPrefix("Missing value for '"),
      let option = message.dropFirst(19).split(whereSeparator: { " '".contains($0) }).first,
      let value = zip(arguments, arguments.dropFirst()).first(where: { $0 == option && (Double($1) ?? 0) < 0 })?.1
    else { return message }
    return "\(message). A number below zero is given as \(option)=\(value.printable())"
  }

  /// The text with a long line of usage broken between options.
  static func wrappingUsage(_ text: String) -> String {
    let lines = text.split(separator: "\n", omittingEmptySubsequences: false).map { line in
      line.lowercased().hasPrefix("usage: ") ? wrapped(line, columns: min(Terminal.width, 100)) : String(line)
    }
    return lines.joined(separator: "\n")
  }

  private static func wrapped(_ line: Substring, columns: Int) -> String {
    var (text, width, depth) = ("", 0, 0)
    // Blanks inside brackets are no places to break at.
    let parts = line.split { character in
      depth += character == "[" ? 1 : character == "]" ? -1 : 0
      return character == " " && depth == 0
    }
    for part in parts {
      if width + part.count + 1 > columns, width > 0 {
        text += "\n      "
        width = 6
      }
      text += (text.isEmpty ? "" : " ") + part
      width += part.count + 1
    }
    return text
  }

  /// - Throws: `ValidationError` for an argument that is no UTF-8: it would come to mean another file.
  static func checkArguments() throws {
    for index in 0..<Int(CommandLine.argc) {
      guard let argument = CommandLine.unsafeArgv[index], String(validatingCString: argument) == nil else { continue }
      let text = CommandLine.arguments[index].printable()
      throw ValidationError("the argument '\(text)' is no UTF-8; give the file a name that is")
    }
  }

  /// - Throws: `ValidationError` for a first word that is no subcommand; it says which are nearest.
  static func checkSubcommand(_ word: String?) throws {
    guard let word, !word.hasPrefix("-"), word != "help" else { return }
    let known = Mutils.configuration.subcommands.compactMap { $0._commandName }
    guard !known.contains(word) else { return }
    throw ValidationError("there is no subcommand '\(word.printable())'; the nearest are \(known.nearest(to: word))")
  }
}
